//! Who may do what: logins, operators, sessions, tokens and preferences.

use crate::client::Client;
use crate::endpoint::{Answer, Changed};
use crate::operation;
use crate::outcome::Mode;
use crate::transport::Call;
use prefix_api_types::{
    ApiTokenCreated, ApiTokens, LoggedIn, Me, NewApiToken, NewLogin, NewOperator, NewPassword,
    NewPreferences, NewRole, Operator, OperatorId, Operators, Preferences, SessionId, Sessions, TokenId,
};
use serde_json::json;

impl Client {
    /// Logs in: the cookie of the login is in [`Reply::set_cookie`](crate::Reply::set_cookie).
    pub async fn login(&self, login: &NewLogin) -> Answer<LoggedIn> {
        self.call(Call::new(operation::LOGIN).body(login)?).await
    }

    /// Ends the login of this client.
    pub async fn logout(&self) -> Answer<()> {
        self.call(Call::new(operation::LOGOUT)).await
    }

    /// Who this client is to the server.
    pub async fn me(&self) -> Answer<Me> {
        self.call(Call::new(operation::ME)).await
    }

    /// One's own logins; `all`: everybody's.
    pub async fn sessions(&self, all: bool) -> Answer<Sessions> {
        self.call(Call::new(operation::SESSIONS_LIST).query(&json!({"all": all.then_some(true)}))).await
    }

    /// Ends a login.
    pub async fn end_session(&self, id: SessionId, mode: Mode) -> Changed<()> {
        self.change(Call::new(operation::SESSIONS_END).argument(&id), mode).await
    }

    /// Every operator.
    pub async fn operators(&self) -> Answer<Operators> {
        self.call(Call::new(operation::OPERATORS_LIST)).await
    }

    /// Creates an operator.
    pub async fn create_operator(&self, new: &NewOperator, mode: Mode) -> Changed<Operator> {
        self.change(Call::new(operation::OPERATORS_CREATE).body(new)?, mode).await
    }

    /// Gives an operator another role.
    pub async fn change_role(&self, id: OperatorId, role: &NewRole, mode: Mode) -> Changed<Operator> {
        self.change(Call::new(operation::OPERATORS_ROLE).argument(&id).body(role)?, mode).await
    }

    /// Deletes an operator.
    pub async fn delete_operator(&self, id: OperatorId, mode: Mode) -> Changed<()> {
        self.change(Call::new(operation::OPERATORS_DELETE).argument(&id), mode).await
    }

    /// Gives an operator another password.
    pub async fn change_password(&self, id: OperatorId, new: &NewPassword, mode: Mode) -> Changed<()> {
        self.change(Call::new(operation::OPERATORS_PASSWORD).argument(&id).body(new)?, mode).await
    }

    /// Every token.
    pub async fn tokens(&self) -> Answer<ApiTokens> {
        self.call(Call::new(operation::TOKENS_LIST)).await
    }

    /// Makes a token; the answer has it, this once.
    pub async fn create_token(&self, new: &NewApiToken, mode: Mode) -> Changed<ApiTokenCreated> {
        self.change(Call::new(operation::TOKENS_CREATE).body(new)?, mode).await
    }

    /// Revokes a token.
    pub async fn revoke_token(&self, id: TokenId, mode: Mode) -> Changed<()> {
        self.change(Call::new(operation::TOKENS_REVOKE).argument(&id), mode).await
    }

    /// One's own preferences.
    pub async fn preferences(&self) -> Answer<Preferences> {
        self.call(Call::new(operation::PREFERENCES)).await
    }

    /// Sets one's own preferences.
    pub async fn set_preferences(&self, new: &NewPreferences, mode: Mode) -> Changed<()> {
        self.change(Call::new(operation::PREFERENCES_SET).body(new)?, mode).await
    }
}
