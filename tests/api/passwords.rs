//! A user's own password: changed for the old one, which is looked at as a login is.

use serde_json::{Value, json};

use crate::{
    identity::{bare, basic, bearer, made, user},
    rig::rig,
};

const WORD: &str = "correct horse battery";

#[tokio::test(flavor = "multi_thread")]
async fn a_user_changes_his_own_password_for_the_old_one_and_nobody_guesses_it_here() {
    const NEXT: &str = "staple after staple";
    let rig = rig(16, "").await;
    let token = bearer(&user(&rig, "eve", "viewer", "default").await);
    made(&rig, "/bothy/v1/users", json!({"name": "tom", "roles": ["viewer"]})).await;
    let tom = made(&rig, "/bothy/v1/tokens", json!({"account": "tom"})).await["token"].as_str().expect("token").to_owned();
    let client =
        made(&rig, "/bothy/v1/clients", json!({"name": "oss", "roles": ["viewer"]})).await["secret"].as_str().expect("secret").to_owned();
    let change = async |who: &str, body: Value| {
        bare(&rig, "POST /bothy/v1/whoami/password", &[who, "content-type: application/json"], &body.to_string()).await
    };
    let raw = token.rsplit(' ').next().expect("a token");
    for (who, body, status, says) in [
        (token.as_str(), json!({"old": WORD}), 422, "new"),
        (&token, json!({"old": WORD, "new": "short"}), 422, "new: a password has 10 to 256"),
        (&token, json!({"old": WORD, "new": WORD}), 422, "is the old one"),
        // A token lets in, and is no password.
        (&token, json!({"old": raw, "new": NEXT}), 403, "this is not the password"),
        (&bearer(&tom), json!({"old": WORD, "new": NEXT}), 409, "tom has no password"),
        (&basic("oss", &client), json!({"old": client, "new": NEXT}), 409, "is a client"),
    ] {
        let r = change(who, body).await;
        assert_eq!(r.status, status, "{says}: {}", r.body);
        assert!(r.problem().contains(says), "{says}: {}", r.body);
        assert!(!r.body.contains(WORD) && !r.body.contains(NEXT), "{}", r.body);
    }
    let done = change(&token, json!({"old": WORD, "new": NEXT})).await;
    assert_eq!((done.status, done.body.as_str()), (204, ""));
    let me = async |password: &str| bare(&rig, "GET /bothy/v1/whoami", &[&basic("eve", password)], "").await.status;
    assert_eq!((me(NEXT).await, me(WORD).await), (200, 401));
    assert_eq!(bare(&rig, "GET /bothy/v1/whoami", &[&token], "").await.status, 200, "tokens stay");
    // As at a login: after five wrong ones none is looked at.
    let mut wrong = Vec::new();
    while wrong.len() < 6 && wrong.last() != Some(&429) {
        wrong.push(change(&token, json!({"old": "wrong and wrong", "new": WORD})).await.status);
    }
    assert_eq!((wrong[0], wrong.last()), (403, Some(&429)), "{wrong:?}");
    assert_eq!(change(&token, json!({"old": WORD, "new": "another one altogether"})).await.status, 429);
    assert_eq!(me("wrong and wrong").await, 429, "and a login from there neither");
    let trail = rig.show("/bothy/v1/audit?limit=1000").await.to_string();
    assert!(trail.contains("/bothy/v1/whoami/password") && !trail.contains(NEXT) && !trail.contains(WORD), "{trail}");
}
