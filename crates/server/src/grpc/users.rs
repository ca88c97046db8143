//! The service for users. What may be asked of whom is in `access.rs`, what is kept in `users.rs`.

use std::sync::Arc;

use factum_protocol::ticks;
use factum_protocol::wire::v1::users as wire;
use futures_util::stream;
use tonic::{Request, Response, Status};

use super::Answers;
use crate::access::Action;
use crate::call::Call;
use crate::shared::Shared;
use crate::status;
use crate::users::{NewUser, Secret, Standing, User};

/// `event_store.client.users.Users`.
pub(crate) struct Users {
    shared: Arc<Shared>,
}

impl Users {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The options, if the caller manages users.
    async fn managed<R, O>(&self, request: Request<R>, options: fn(R) -> Option<O>) -> Result<O, Status> {
        let call = Call::of(&request);
        self.shared.access.check(&call.caller, Action::ManageUsers).await?;
        given(options(request.into_inner()))
    }
}

fn given<O>(options: Option<O>) -> Result<O, Status> {
    options.ok_or_else(|| Status::invalid_argument("the request has no options"))
}

fn details(user: User) -> wire::DetailsResp {
    wire::DetailsResp {
        user_details: Some(wire::details_resp::UserDetails {
            login_name: user.login,
            full_name: user.full_name,
            groups: user.groups,
            last_updated: Some(wire::details_resp::user_details::DateTime {
                ticks_since_epoch: ticks(user.last_updated),
            }),
            disabled: user.standing == Standing::Disabled,
        }),
    }
}

#[tonic::async_trait]
impl wire::users_server::Users for Users {
    type DetailsStream = Answers<wire::DetailsResp>;

    async fn create(&self, request: Request<wire::CreateReq>) -> Result<Response<wire::CreateResp>, Status> {
        let options = self.managed(request, |request| request.options).await?;
        let user = NewUser {
            login: options.login_name,
            full_name: options.full_name,
            groups: options.groups,
            password: Secret::new(options.password),
        };
        self.shared.users.create(user).await.map_err(|error| status::of_user(&error))?;
        Ok(Response::new(wire::CreateResp {}))
    }

    /// The password that comes along is left alone, as KurrentDB leaves it.
    async fn update(&self, request: Request<wire::UpdateReq>) -> Result<Response<wire::UpdateResp>, Status> {
        let options = self.managed(request, |request| request.options).await?;
        drop(Secret::new(options.password));
        let updated = self.shared.users.update(&options.login_name, options.full_name, options.groups).await;
        updated.map_err(|error| status::of_user(&error))?;
        Ok(Response::new(wire::UpdateResp {}))
    }

    async fn delete(&self, request: Request<wire::DeleteReq>) -> Result<Response<wire::DeleteResp>, Status> {
        let options = self.managed(request, |request| request.options).await?;
        self.shared.users.delete(&options.login_name).await.map_err(|error| status::of_user(&error))?;
        Ok(Response::new(wire::DeleteResp {}))
    }

    async fn disable(
        &self,
        request: Request<wire::DisableReq>,
    ) -> Result<Response<wire::DisableResp>, Status> {
        let options = self.managed(request, |request| request.options).await?;
        let disabled = self.shared.users.set_standing(&options.login_name, Standing::Disabled).await;
        disabled.map_err(|error| status::of_user(&error))?;
        Ok(Response::new(wire::DisableResp {}))
    }

    async fn enable(&self, request: Request<wire::EnableReq>) -> Result<Response<wire::EnableResp>, Status> {
        let options = self.managed(request, |request| request.options).await?;
        let enabled = self.shared.users.set_standing(&options.login_name, Standing::Enabled).await;
        enabled.map_err(|error| status::of_user(&error))?;
        Ok(Response::new(wire::EnableResp {}))
    }

    async fn details(
        &self,
        request: Request<wire::DetailsReq>,
    ) -> Result<Response<Self::DetailsStream>, Status> {
        let call = Call::of(&request);
        let login = request.into_inner().options.map(|options| options.login_name).unwrap_or_default();
        let users = if login.is_empty() {
            self.shared.access.check(&call.caller, Action::ManageUsers).await?;
            self.shared.users.list().await
        } else {
            self.shared.access.check(&call.caller, Action::SeeUser(&login)).await?;
            self.shared.users.details(&login).await.map(|user| vec![user])
        };
        let users = users.map_err(|error| status::of_user(&error))?;
        Ok(Response::new(Box::pin(stream::iter(users.into_iter().map(|user| Ok(details(user)))))))
    }

    async fn change_password(
        &self,
        request: Request<wire::ChangePasswordReq>,
    ) -> Result<Response<wire::ChangePasswordResp>, Status> {
        let call = Call::of(&request);
        let options = given(request.into_inner().options)?;
        let (current, new) = (Secret::new(options.current_password), Secret::new(options.new_password));
        self.shared.access.check(&call.caller, Action::ChangePassword(&options.login_name)).await?;
        let changed = self.shared.users.change_password(&options.login_name, &current, &new).await;
        changed.map_err(|error| status::of_user(&error))?;
        Ok(Response::new(wire::ChangePasswordResp {}))
    }

    async fn reset_password(
        &self,
        request: Request<wire::ResetPasswordReq>,
    ) -> Result<Response<wire::ResetPasswordResp>, Status> {
        let options = self.managed(request, |request| request.options).await?;
        let new = Secret::new(options.new_password);
        let reset = self.shared.users.reset_password(&options.login_name, &new).await;
        reset.map_err(|error| status::of_user(&error))?;
        Ok(Response::new(wire::ResetPasswordResp {}))
    }
}
