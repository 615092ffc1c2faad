//! Operators, tokens, logins and preferences as rows.

use crate::output::{Cell, Column, Shown};
use prefix_client::{ApiToken, Me, Operator, Preferences, Session};

/// The columns of whoever asks.
pub(crate) const ME: &[Column<Me>] = &[
    Column::new("name", Shown::Always, |row| Cell::text(&row.username)),
    Column::new("role", Shown::Always, |row| Cell::optional(row.role.as_ref())),
    Column::new("by", Shown::Always, |row| Cell::text(&row.auth_method)),
    Column::new("sources", Shown::Always, |row| Cell::text(row.sources.join(" "))),
    Column::new("id", Shown::Wide, |row| Cell::optional(row.operator_id)),
];

/// The columns of operators.
pub(crate) const OPERATORS: &[Column<Operator>] = &[
    Column::new("id", Shown::Always, |row| Cell::optional(row.operator_id)),
    Column::new("name", Shown::Always, |row| Cell::text(&row.username)),
    Column::new("role", Shown::Always, |row| Cell::optional(row.role.as_ref())),
    Column::new("created", Shown::Wide, |row| Cell::time(row.created_at)),
    Column::new("by", Shown::Wide, |row| Cell::optional(row.created_by.as_ref())),
    Column::new("last_login", Shown::Always, |row| Cell::time(row.last_login_at)),
];

/// The columns of tokens.
pub(crate) const TOKENS: &[Column<ApiToken>] = &[
    Column::new("id", Shown::Always, |row| Cell::optional(row.token_id)),
    Column::new("name", Shown::Always, |row| Cell::text(&row.name)),
    Column::new("role", Shown::Always, |row| Cell::optional(row.role.as_ref())),
    Column::new("token", Shown::Always, |row| Cell::text(&row.token_prefix)),
    Column::new("sources", Shown::Always, |row| Cell::text(row.sources.join(" "))),
    Column::new("from", Shown::Wide, |row| Cell::text(row.allowed_cidrs.join(" "))),
    Column::new("created", Shown::Wide, |row| Cell::time(row.created_at)),
    Column::new("by", Shown::Wide, |row| Cell::text(&row.created_by)),
    Column::new("last_used", Shown::Always, |row| Cell::time(row.last_used_at)),
    Column::new("expires", Shown::Always, |row| Cell::time(row.expires_at)),
    Column::new("revoked", Shown::Always, |row| Cell::time(row.revoked_at)),
];

/// The columns of logins.
pub(crate) const SESSIONS: &[Column<Session>] = &[
    Column::new("id", Shown::Always, |row| Cell::optional(row.session_id)),
    Column::new("name", Shown::Always, |row| Cell::text(&row.username)),
    Column::new("since", Shown::Always, |row| Cell::time(row.created_at)),
    Column::new("seen", Shown::Always, |row| Cell::time(row.last_seen_at)),
    Column::new("until", Shown::Wide, |row| Cell::time(row.expires_at)),
    Column::new("from", Shown::Always, |row| Cell::optional(row.address.as_ref())),
    Column::new("with", Shown::Wide, |row| Cell::optional(row.user_agent.as_ref())),
    Column::new("current", Shown::Always, |row| Cell::text(row.current)),
];

/// The columns of preferences.
pub(crate) const PREFERENCES: &[Column<Preferences>] = &[
    Column::new("muted", Shown::Always, |row| Cell::text(row.muted_events.join(" "))),
    Column::new("quiet_from", Shown::Always, |row| Cell::optional(row.quiet_hours_start)),
    Column::new("quiet_to", Shown::Always, |row| Cell::optional(row.quiet_hours_end)),
];
