//! The service for users: every call, every error, and who may ask.

use factum_core::{EventStoreExt, Read, StreamName};
use factum_protocol::wire::v1::users as wire;
use tonic::{Code, Status};

use super::{Fixture, OPS_PASSWORD, Who, assert_denied, assert_refused, assert_unauthenticated};

impl Fixture {
    async fn details(&self, who: &Who, login: &str) -> Result<Vec<wire::details_resp::UserDetails>, Status> {
        let options = wire::details_req::Options { login_name: login.to_owned() };
        let request = wire::DetailsReq { options: Some(options) };
        let mut answers = self.users().details(who.asks(request)).await?.into_inner();
        let mut users = Vec::new();
        while let Some(answer) = answers.message().await? {
            users.push(answer.user_details.unwrap());
        }
        Ok(users)
    }

    async fn update(&self, who: &Who, login: &str, full_name: &str, groups: &[&str]) -> Result<(), Status> {
        let options = wire::update_req::Options {
            login_name: login.to_owned(),
            password: "ignored".to_owned(),
            full_name: full_name.to_owned(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        };
        self.users().update(who.asks(wire::UpdateReq { options: Some(options) })).await.map(drop)
    }

    pub(super) async fn disable(&self, who: &Who, login: &str) -> Result<(), Status> {
        let options = wire::disable_req::Options { login_name: login.to_owned() };
        self.users().disable(who.asks(wire::DisableReq { options: Some(options) })).await.map(drop)
    }

    async fn enable(&self, who: &Who, login: &str) -> Result<(), Status> {
        let options = wire::enable_req::Options { login_name: login.to_owned() };
        self.users().enable(who.asks(wire::EnableReq { options: Some(options) })).await.map(drop)
    }

    async fn remove(&self, who: &Who, login: &str) -> Result<(), Status> {
        let options = wire::delete_req::Options { login_name: login.to_owned() };
        self.users().delete(who.asks(wire::DeleteReq { options: Some(options) })).await.map(drop)
    }

    async fn change(&self, who: &Who, login: &str, current: &str, new: &str) -> Result<(), Status> {
        let options = wire::change_password_req::Options {
            login_name: login.to_owned(),
            current_password: current.to_owned(),
            new_password: new.to_owned(),
        };
        let request = wire::ChangePasswordReq { options: Some(options) };
        self.users().change_password(who.asks(request)).await.map(drop)
    }

    async fn reset(&self, who: &Who, login: &str, new: &str) -> Result<(), Status> {
        let options =
            wire::reset_password_req::Options { login_name: login.to_owned(), new_password: new.to_owned() };
        let request = wire::ResetPasswordReq { options: Some(options) };
        self.users().reset_password(who.asks(request)).await.map(drop)
    }

    /// The types and data of a stream, out of the store.
    async fn stored(&self, stream: &str) -> Vec<(String, String)> {
        let read = Read::stream(StreamName::new(stream).unwrap());
        let events = self.store.read_all(read).await.unwrap();
        let text = |data: &[u8]| String::from_utf8(data.to_vec()).unwrap();
        events.iter().map(|event| (event.event_type().to_owned(), text(event.data_slice()))).collect()
    }
}

#[tokio::test]
async fn users_live_through_every_call_without_security_too() {
    let fixture = Fixture::insecure().await;
    // Credentials mean nothing here, whatever they are.
    let who = Who::user("wrong", "wrong");
    fixture.create(&who, "ada", "one", &["a", "b"]).await.unwrap();
    let ada = fixture.details(&who, "ada").await.unwrap().remove(0);
    assert_eq!((ada.login_name.as_str(), ada.full_name.as_str()), ("ada", "ada of the test"));
    assert_eq!((ada.groups.as_slice(), ada.disabled), (&["a".to_owned(), "b".to_owned()][..], false));
    let created = ada.last_updated.unwrap().ticks_since_epoch;
    assert!(created > 17_000_000_000_000_000, "ticks of 100 ns since 1970: {created}");

    fixture.update(&who, "ada", "Ada L.", &["c"]).await.unwrap();
    fixture.disable(&who, "ada").await.unwrap();
    fixture.disable(&who, "ada").await.unwrap();
    let ada = fixture.details(&who, "ada").await.unwrap().remove(0);
    assert_eq!(
        (ada.full_name.as_str(), ada.groups.as_slice(), ada.disabled),
        ("Ada L.", &["c".to_owned()][..], true)
    );
    fixture.enable(&who, "ada").await.unwrap();
    assert!(!fixture.details(&who, "ada").await.unwrap().remove(0).disabled);

    assert_denied(fixture.change(&who, "ada", "ignored", "two").await);
    fixture.change(&who, "ada", "one", "two").await.unwrap();
    fixture.reset(&who, "ada", "three").await.unwrap();
    assert_denied(fixture.change(&who, "ada", "two", "four").await);
    fixture.change(&who, "ada", "three", "four").await.unwrap();

    fixture.create(&who, "a", "x", &[]).await.unwrap();
    let logins = fixture.details(&who, "").await.unwrap();
    assert_eq!(logins.iter().map(|user| user.login_name.as_str()).collect::<Vec<_>>(), ["a", "ada"]);
    fixture.remove(&who, "ada").await.unwrap();
    let logins = fixture.details(&who, "").await.unwrap();
    assert_eq!(logins.iter().map(|user| user.login_name.as_str()).collect::<Vec<_>>(), ["a"]);
    fixture.create(&who, "ada", "again", &[]).await.unwrap();
    fixture.change(&who, "ada", "again", "x").await.unwrap();
}

#[tokio::test]
async fn errors_have_their_codes_texts_and_trailers() {
    let fixture = Fixture::insecure().await;
    let who = Who::nobody();
    fixture.create(&who, "ada", "one", &[]).await.unwrap();
    let conflict = fixture.create(&who, "ada", "two", &[]).await;
    assert_eq!(conflict.as_ref().unwrap_err().metadata().get("login-name").unwrap(), "ada");
    assert_refused(conflict, Code::FailedPrecondition, "Conflict.", Some("user-conflict"));
    for answer in [
        fixture.update(&who, "bob", "", &[]).await,
        fixture.disable(&who, "bob").await,
        fixture.enable(&who, "bob").await,
        fixture.remove(&who, "bob").await,
        fixture.change(&who, "bob", "x", "y").await,
        fixture.reset(&who, "bob", "x").await,
        fixture.details(&who, "bob").await.map(drop),
    ] {
        assert_eq!(answer.as_ref().unwrap_err().metadata().get("login-name").unwrap(), "bob");
        assert_refused(answer, Code::NotFound, "User 'bob' is not found.", Some("user-not-found"));
    }
    let long = "x".repeat(2_000);
    for (login, password) in [
        ("", "x"),
        ("$admins", "x"),
        ("a:b", "x"),
        ("a\nb", "x"),
        (long.as_str(), "x"),
        ("eve", ""),
        ("eve", long.as_str()),
    ] {
        let status = fixture.create(&who, login, password, &[]).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{login:.10}: {status:?}");
        assert!(password != long || !status.message().contains(&long));
    }
    assert_eq!(fixture.create(&who, "eve", "x", &[""]).await.unwrap_err().code(), Code::InvalidArgument);
    let none = fixture.users().create(who.asks(wire::CreateReq { options: None })).await;
    assert_eq!(none.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn users_are_stored_as_kurrentdb_stores_them() {
    let fixture = Fixture::insecure().await;
    let who = Who::nobody();
    fixture.create(&who, "ada", "one", &["g"]).await.unwrap();
    fixture.reset(&who, "ada", "two").await.unwrap();
    let user = fixture.stored("$user-ada").await;
    assert_eq!(
        user.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["$UserCreated", "$UserUpdated"]
    );
    for (_, data) in &user {
        let json: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(
            (&json["LoginName"], &json["Salt"], &json["Disabled"]),
            (&"ada".into(), &"".into(), &false.into())
        );
        assert_eq!(json["Groups"], serde_json::json!(["g"]));
        assert!(json["Hash"].as_str().unwrap().starts_with("$argon2id$"), "{json}");
    }
    assert_ne!(user[0].1, user[1].1);
    assert_eq!(fixture.stored("$users").await, [("$User".to_owned(), "ada".to_owned())]);
    let notice = ("$PasswordChanged".to_owned(), r#"{"LoginName":"ada"}"#.to_owned());
    assert_eq!(fixture.stored("$users-password-notifications").await, [notice]);
}

#[tokio::test]
async fn only_administrators_manage_users_and_each_looks_after_itself() {
    let fixture = Fixture::with_users().await;
    let (ada, ops) = (Who::user("ada", "ada"), Who::user("ops", OPS_PASSWORD));
    for who in [&ada, &ops, &Who::nobody()] {
        assert_denied(fixture.create(who, "eve", "x", &["$admins"]).await);
        assert_denied(fixture.update(who, "ada", "", &["$admins"]).await);
        assert_denied(fixture.disable(who, "bob").await);
        assert_denied(fixture.enable(who, "bob").await);
        assert_denied(fixture.remove(who, "bob").await);
        assert_denied(fixture.reset(who, "ada", "x").await);
        assert_denied(fixture.details(who, "bob").await);
        assert_denied(fixture.details(who, "").await);
        assert_denied(fixture.change(who, "bob", "bob", "x").await);
        assert_denied(fixture.append(who, "$user-ada", "$UserUpdated", "{}").await);
    }
    assert_eq!(fixture.details(&ada, "ada").await.unwrap().len(), 1);
    assert_eq!(fixture.details(&Who::admin(), "").await.unwrap().len(), 4);
    // With the present password, and of oneself only.
    assert_denied(fixture.change(&Who::admin(), "ada", "ada", "x").await);
    assert_denied(fixture.change(&ada, "ada", "wrong", "x").await);
    fixture.change(&ada, "ada", "ada", "new").await.unwrap();
    assert_unauthenticated(fixture.details(&ada, "ada").await);
    assert_eq!(fixture.details(&Who::user("ada", "new"), "ada").await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_changes_about_a_user_counts_with_the_next_call() {
    let fixture = Fixture::with_users().await;
    let (admin, ada) = (Who::admin(), Who::user("ada", "ada"));
    fixture.append(&ada, "s", "A", "1").await.unwrap();
    for _ in 0..3 {
        fixture.disable(&admin, "ada").await.unwrap();
        assert_unauthenticated(fixture.read(&ada, "s").await);
        fixture.enable(&admin, "ada").await.unwrap();
        assert_eq!(fixture.read(&ada, "s").await.unwrap(), ["1"]);
        fixture.update(&admin, "ada", "", &["$admins"]).await.unwrap();
        fixture.read(&ada, "$all").await.unwrap();
        fixture.update(&admin, "ada", "", &[]).await.unwrap();
        assert_denied(fixture.read(&ada, "$all").await);
    }
    fixture.reset(&admin, "ada", "other").await.unwrap();
    assert_unauthenticated(fixture.read(&ada, "s").await);
    let ada = Who::user("ada", "other");
    assert_eq!(fixture.read(&ada, "s").await.unwrap(), ["1"]);
    fixture.remove(&admin, "ada").await.unwrap();
    assert_unauthenticated(fixture.read(&ada, "s").await);
}
