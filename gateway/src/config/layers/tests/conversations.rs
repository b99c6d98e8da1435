//! How conversations are kept, and the push hook.

use std::path::Path;

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// What is wrong with a hook of the app in [`APP`].
fn hook_problems(hook: &str) -> Vec<String> {
    problems(&complete("").replace(APP, &format!("{APP}[apps.push_hook]\n{hook}\n")))
}

fn app_with(said: &str) -> String {
    complete("").replace("[[apps]]\n", &format!("[[apps]]\n{said}\n"))
}

#[test]
fn an_app_says_how_its_conversations_are_kept() {
    let said = "conversation_members_max = 3000\nconversation_recall_window = \"1h\"\nconversation_history = false\n\
        conversation_history_kept = \"7d\"\nconversation_groups_open = false\nconversation_members_may_add = true\n\
        conversation_users_name_groups = true";
    let loaded = loaded_whole(&app_with(said));
    let kept = &loaded.apps[0].conversations;
    assert_eq!((kept.members_max, kept.recall_window.as_secs()), (3000, 3600));
    assert_eq!((kept.history, kept.history_kept.as_secs()), (false, 7 * 86_400));
    assert_eq!((kept.groups_open, kept.members_may_add), (false, true));
    assert!(kept.users_name_groups && !loaded_whole(&complete("")).apps[0].conversations.users_name_groups);
    assert_eq!(kept.push_hook, None);
    for (said, problem) in [
        ("conversation_members_max = 1", "apps.conversation_members_max: found 1"),
        (
            "conversation_history_kept = \"2d\"",
            "apps.conversation_history_kept: found \"2d\"",
        ),
        (
            "conversation_recall_window = \"31d\"",
            "apps.conversation_recall_window: found \"31d\"",
        ),
    ] {
        let found = problems(&app_with(said));
        assert!(found.len() == 1 && found[0].contains(problem), "{found:?}");
    }
}

#[test]
fn a_hook_has_an_address_and_a_secret() {
    let hook = format!("url = \"https://chat.example.com:8443/push\"\nsecret = \"{SECRET}\"\nca_file = \"ca.pem\"\n");
    let text = complete("").replace(APP, &format!("{APP}[apps.push_hook]\n{hook}"));
    let loaded = loaded_whole(&text);
    let hook = loaded.apps[0].conversations.push_hook.as_ref().expect("a hook");
    assert_eq!(hook.url, "https://chat.example.com:8443/push");
    assert_eq!(hook.secret.expose(), SECRET.as_bytes());
    assert!(
        hook.ca_file
            .as_deref()
            .is_some_and(|file| file.ends_with(Path::new("ca.pem")))
    );
    let url = "url = \"http://localhost/\"";
    let long = "x".repeat(1024);
    for (hook, problem) in [
        (format!("secret = \"{SECRET}\""), "apps.push_hook.url: missing"),
        (url.to_owned(), "apps.push_hook.secret: missing"),
        (
            format!("{url}\nsecret = \"short\""),
            "apps.push_hook.secret: found 5 bytes",
        ),
        (
            format!("{url}\nsecret_file = \"nowhere\""),
            "apps.push_hook.secret_file: ",
        ),
        (
            format!("{url}\nsecret = \"{SECRET}\"\nsecret_file = \"nowhere\""),
            "apps.push_hook.secret_file: found next to secret",
        ),
        (
            format!("url = \"ftp://x/\"\nsecret = \"{SECRET}\""),
            "apps.push_hook.url: found \"ftp://x/\"",
        ),
        (
            format!("url = \"/push\"\nsecret = \"{SECRET}\""),
            "apps.push_hook.url: found",
        ),
        (
            format!("url = \"http://me:word@x/\"\nsecret = \"{SECRET}\""),
            "apps.push_hook.url: found",
        ),
        (
            format!("url = \"http://{long}/\"\nsecret = \"{SECRET}\""),
            "apps.push_hook.url: found",
        ),
        (format!("{url}\nsecret = \"{SECRET}\"\nretries = 3"), "retries"),
    ] {
        let found = hook_problems(&hook);
        assert!(found.len() == 1 && found[0].contains(problem), "{hook}: {found:?}");
    }
}

#[test]
fn what_may_be_secret_in_the_address_of_a_hook_is_not_shown() {
    let hook = format!("url = \"https://chat.example.com/push?key=0123\"\nsecret = \"{SECRET}\"\n");
    let text = complete("").replace(APP, &format!("{APP}[apps.push_hook]\n{hook}"));
    let loaded = load_text(&text, &[], &[]).expect("valid");
    let hook = loaded.config.apps[0].conversations.push_hook.as_ref().expect("a hook");
    assert_eq!(hook.url, "https://chat.example.com/push?key=0123");
    for shown in [format!("{hook:?}"), loaded.effective()] {
        assert!(shown.contains("\"https://chat.example.com/push?(masked)\""), "{shown}");
        assert!(!shown.contains("key=0123") && !shown.contains(SECRET), "{shown}");
    }
}
