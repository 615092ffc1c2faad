//! The operations of the API as data: method, path, and the command of prefixdctl that carries each out.
//!
//! The client builds its requests from these constants, so an operation that is missing here cannot be called, and a
//! test compares the list with the document that the server publishes.

/// One operation of the API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Operation {
    /// The HTTP method, upper case.
    pub method: &'static str,
    /// The path with its variable segments in braces, such as `/v1/events/{id}`.
    pub path: &'static str,
    /// The command of prefixdctl that uses it, without options.
    pub command: &'static str,
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $method:literal $path:literal, $command:literal;)+) => {
        $($(#[$doc])* pub const $name: Operation = Operation { method: $method, path: $path, command: $command };)+

        /// Every operation this client can call.
        pub const ALL: &[Operation] = &[$($name,)+];
    };
}

operations! {
    /// Is the process there?
    HEALTH = "GET" "/v1/health", "health";
    /// Can it take events?
    HEALTH_READY = "GET" "/v1/health/ready", "health";
    /// All about its condition.
    HEALTH_DETAIL = "GET" "/v1/health/detail", "status";
    /// The BGP neighbours.
    PEERS = "GET" "/v1/peers", "peers";
    /// The sites.
    POPS = "GET" "/v1/pops", "pops";
    /// Totals.
    STATS = "GET" "/v1/stats", "stats";
    /// Counts over time.
    STATS_TIMESERIES = "GET" "/v1/stats/timeseries", "stats";
    /// What happened to an address.
    IP_HISTORY = "GET" "/v1/ip/{ip}/history", "history";
    /// Report an attack, or its end.
    EVENTS_SEND = "POST" "/v1/events", "events send";
    /// Report up to 100 at once.
    EVENTS_BATCH = "POST" "/v1/events/batch", "events batch";
    /// A page of events.
    EVENTS_LIST = "GET" "/v1/events", "events list";
    /// One event with its decision.
    EVENTS_GET = "GET" "/v1/events/{id}", "events get";
    /// Pass the alerts of Alertmanager on.
    SIGNALS_ALERTMANAGER = "POST" "/v1/signals/alertmanager", "signals alertmanager";
    /// Pass a message of FastNetMon on.
    SIGNALS_FASTNETMON = "POST" "/v1/signals/fastnetmon", "signals fastnetmon";
    /// Pass on what a webhook adapter describes.
    SIGNALS_WEBHOOK = "POST" "/v1/signals/webhook/{name}", "signals webhook";
    /// A page of mitigations.
    MITIGATIONS_LIST = "GET" "/v1/mitigations", "mitigations list";
    /// One mitigation with its decision.
    MITIGATIONS_GET = "GET" "/v1/mitigations/{id}", "mitigations get";
    /// A rule by hand.
    MITIGATIONS_CREATE = "POST" "/v1/mitigations", "mitigations create";
    /// Take one rule away.
    MITIGATIONS_WITHDRAW = "POST" "/v1/mitigations/{id}/withdraw", "mitigations withdraw";
    /// Take up to 100 rules away.
    MITIGATIONS_WITHDRAW_BULK = "POST" "/v1/mitigations/withdraw", "mitigations withdraw";
    /// Mark up to 100 as seen.
    MITIGATIONS_ACKNOWLEDGE = "POST" "/v1/mitigations/acknowledge", "mitigations ack";
    /// Corroborate what others report.
    SIGNALS_CORROBORATE = "POST" "/v1/signals/corroborator", "signals corroborate";
    /// Which corroborating sources were heard.
    SIGNALS_ACTIVITY = "GET" "/v1/signals/corroborator/activity", "signals activity";
    /// Which corroborating signals wait.
    SIGNALS_CACHE = "GET" "/v1/signals/corroborator/cache", "signals cache";
    /// A page of signal groups.
    GROUPS_LIST = "GET" "/v1/signal-groups", "groups list";
    /// One signal group with its signals.
    GROUPS_GET = "GET" "/v1/signal-groups/{id}", "groups get";
    /// What is never filtered.
    SAFELIST_LIST = "GET" "/v1/safelist", "safelist list";
    /// Never filter a prefix.
    SAFELIST_ADD = "POST" "/v1/safelist", "safelist add";
    /// Allow filtering a prefix again.
    SAFELIST_REMOVE = "DELETE" "/v1/safelist/{prefix}", "safelist remove";
    /// A page of the audit trail.
    AUDIT_LIST = "GET" "/v1/audit", "audit list";
    /// Has anybody changed the audit trail?
    AUDIT_VERIFY = "GET" "/v1/audit/verify", "audit verify";
    /// Freeze, and take every rule away.
    PANIC = "POST" "/v1/panic", "panic";
    /// What is frozen.
    PANIC_STATE = "GET" "/v1/panic", "panic status";
    /// Let rules in again.
    THAW = "POST" "/v1/panic/thaw", "thaw";
    /// The running settings.
    CONFIG_SETTINGS = "GET" "/v1/config/settings", "config show settings";
    /// The running inventory.
    CONFIG_INVENTORY = "GET" "/v1/config/inventory", "config show inventory";
    /// The running playbooks.
    CONFIG_PLAYBOOKS = "GET" "/v1/config/playbooks", "config show playbooks";
    /// Replace playbooks and vectors.
    CONFIG_PLAYBOOKS_SET = "PUT" "/v1/config/playbooks", "config set playbooks";
    /// The running terms of correlation.
    CONFIG_CORRELATION = "GET" "/v1/config/correlation", "config show correlation";
    /// Replace the terms of correlation.
    CONFIG_CORRELATION_SET = "PUT" "/v1/config/correlation", "config set correlation";
    /// Read the files again.
    CONFIG_RELOAD = "POST" "/v1/config/reload", "config reload";
    /// Try a configuration.
    SIMULATE = "POST" "/v1/simulate", "simulate";
    /// Log in.
    LOGIN = "POST" "/v1/auth/login", "login";
    /// Log out.
    LOGOUT = "POST" "/v1/auth/logout", "logout";
    /// Who asks.
    ME = "GET" "/v1/auth/me", "whoami";
    /// Logins that are not over.
    SESSIONS_LIST = "GET" "/v1/sessions", "sessions list";
    /// End a login.
    SESSIONS_END = "DELETE" "/v1/sessions/{id}", "sessions end";
    /// Every operator.
    OPERATORS_LIST = "GET" "/v1/operators", "operators list";
    /// Create an operator.
    OPERATORS_CREATE = "POST" "/v1/operators", "operators create";
    /// Another role.
    OPERATORS_ROLE = "PUT" "/v1/operators/{id}", "operators role";
    /// Delete an operator.
    OPERATORS_DELETE = "DELETE" "/v1/operators/{id}", "operators delete";
    /// Another password.
    OPERATORS_PASSWORD = "PUT" "/v1/operators/{id}/password", "operators passwd";
    /// Every token.
    TOKENS_LIST = "GET" "/v1/tokens", "tokens list";
    /// Make a token.
    TOKENS_CREATE = "POST" "/v1/tokens", "tokens create";
    /// Revoke a token.
    TOKENS_REVOKE = "DELETE" "/v1/tokens/{id}", "tokens revoke";
    /// One's own preferences.
    PREFERENCES = "GET" "/v1/preferences", "preferences get";
    /// Set one's own preferences.
    PREFERENCES_SET = "PUT" "/v1/preferences", "preferences set";
}

impl Operation {
    /// The path with `arguments` in place of its variable segments, as one list of segments to be percent-encoded.
    pub(crate) fn segments<'a>(&'a self, arguments: &'a [String]) -> impl Iterator<Item = &'a str> {
        let mut arguments = arguments.iter();
        self.path.trim_start_matches('/').split('/').map(move |segment| {
            if segment.starts_with('{') { arguments.next().map_or(segment, String::as_str) } else { segment }
        })
    }
}
