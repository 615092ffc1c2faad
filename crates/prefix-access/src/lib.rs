//! Who may do what: what a password must be, how secrets are made and hashed, and the decisions about operators, logins
//! and tokens. The decisions are pure: they look at what a transaction has read and say what it is to write, so that the
//! daemon and the commands that work without it decide alike.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod act;
mod common;
mod hashing;
mod login;
mod operators;
mod password;
mod secret;
mod throttle;
mod tokens;

pub use act::{Act, Change, Refused};
pub use hashing::{Hasher, HashingError, hash};
pub use login::{end_session, login, logout};
pub use operators::{NewOperator, change_password, change_role, create, create_first_admin, delete};
pub use password::{Password, PasswordProblem};
pub use secret::{NewSecret, NoRandomness, TOKEN_PREFIX};
pub use throttle::{LoginThrottle, Reservation};
pub use tokens::{NewToken, create_token, revoke_token};
