//! The words of every problem. Those of the replaced engine stand first and must not change.

use super::*;

#[test]
fn the_sentences_of_the_replaced_engine() {
    let one = |change: &Value| job(&json!([with(order(), change)]));
    let named = |change: &Value| job(&json!([with(with(order(), &json!({"order_name": "vpc"})), change)]));
    let table = [
        (job(&json!([])), "Job has no orders"),
        (with(job(&json!([])), &json!({"orders": null})), "Job has no orders"),
        (one(&json!({"cmds": []})), "order[0]: cmds is empty or missing"),
        (named(&json!({"cmds": null})), "vpc: cmds is empty or missing"),
        (one(&json!({"timeout": null})), "order[0]: timeout is missing or invalid"),
        (one(&json!({"timeout": 0})), "order[0]: timeout is missing or invalid"),
        (named(&json!({"timeout": -1})), "vpc: timeout is missing or invalid"),
        (
            one(&json!({"execution_target": "cloud"})),
            "order[0]: invalid execution_target 'cloud' (must be one of ['lambda', 'codebuild', 'ssm', 'default', 'gpu', 'quick'])",
        ),
        (with(one(&json!({})), &json!({"git_repo": null})), "order[0]: no code source (need s3_location or git_repo + git_token_location)"),
        (
            with(named(&json!({})), &json!({"git_token_location": ""})),
            "vpc: no code source (need s3_location or git_repo + git_token_location)",
        ),
        (
            with(one(&json!({"timeout": 1000})), &json!({"presign_expiry": 1299})),
            "presign_expiry (1299) must be >= max order timeout (1000) + 300s buffer",
        ),
        (one(&json!({"execution_target": "ssm"})), "order[0]: ssm_targets is required for execution_target 'ssm'"),
        (named(&json!({"execution_target": "ssm", "ssm_targets": {"other": 1}})), "vpc: ssm_targets must contain 'instance_ids' or 'tags'"),
    ];
    for (job, expected) in table {
        assert_eq!(texts(&job), [expected], "{job}");
    }
}

/// Each change of an order, the field that is named, and what is said.
fn assert_told_of_an_order(table: &[(Value, &str, &str)]) {
    for (change, field, expected) in table {
        let problems = validate(&job(&json!([order(), with(order(), change)]))).expect_err(&change.to_string());
        let expected = Problem { field: format!("orders[1].{field}"), text: format!("order[1]: {expected}") };
        assert_eq!(problems, [expected], "{change}");
    }
}

#[test]
fn what_an_order_does_and_for_how_long() {
    let seconds = "timeout is missing or invalid: it must be a whole number of seconds from 1 to 604800, without quotes";
    assert_told_of_an_order(&[
        (json!({"cmds": [1]}), "cmds", "cmds[0] must be a text, not a number"),
        (json!({"cmds": ["a", null]}), "cmds", "cmds[1] must be a text, not null"),
        (json!({"cmds": "make"}), "cmds", "cmds must be a list of texts, not a text"),
        (json!({"cmds": ["a", "b\u{0}c"]}), "cmds", "cmds[1] holds a NUL byte"),
        (json!({"timeout": "10"}), "timeout", seconds),
        (json!({"timeout": 1e300}), "timeout", seconds),
        (json!({"timeout": 1.5}), "timeout", seconds),
        (json!({"timeout": true}), "timeout", seconds),
        (json!({"timeout": 604_801}), "timeout", seconds),
        (
            json!({"timeout": 3601}),
            "timeout",
            "timeout (3601 s) is longer than job_timeout (3600 s): raise job_timeout or shorten the order",
        ),
        (
            json!({"timeout": 601, "use_lambda": true}),
            "timeout",
            "timeout (601 s) is longer than the 600 s of the target lambda: use codebuild",
        ),
        (json!({"must_succeed": "yes"}), "must_succeed", "must_succeed must be true or false, not a text"),
    ]);
}

#[test]
fn what_an_order_is_called_and_waits_for() {
    assert_told_of_an_order(&[
        (json!({"order_name": 5}), "order_name", "order_name must be a text, not a number"),
        (json!({"queue_id": ["a"]}), "queue_id", "queue_id must be a text, not a list"),
        (json!({"dependencies": "a"}), "dependencies", "dependencies must be a list of texts, not a text"),
        (json!({"dependencies": [1]}), "dependencies", "dependencies[0] must be a text, not a number"),
    ]);
}

#[test]
fn where_an_order_has_its_code_from() {
    assert_told_of_an_order(&[
        (json!({"git_repo": "acme"}), "git_repo", "git_repo 'acme' is neither org/repo nor a git address"),
        (
            json!({"git_repo": "https://u:canary@git.example/a/b"}),
            "git_repo",
            "git_repo carries a user or password: keep them where git_token_location says",
        ),
        (json!({"git_repo": "git@git.example:a/b"}), "git_repo", "git_repo is an ssh address: it needs git_ssh_key_location"),
        (json!({"git_folder": "../x"}), "git_folder", "git_folder: `../x` leaves the repository: `..` is not allowed"),
        (
            json!({"commit_hash": "--upload-pack=x"}),
            "commit_hash",
            "commit_hash: `--upload-pack=x` is not a git reference: use a branch, a tag or a commit",
        ),
        (json!({"s3_location": "s3://bucket"}), "s3_location", "s3_location must read s3://BUCKET/KEY"),
        (
            json!({"s3_location": "http://x/canary.zip"}),
            "s3_location",
            "s3_location must read s3://BUCKET/KEY, https://HOST/PATH or be an absolute path",
        ),
        (json!({"s3_location": "https://u:canary@x/a.zip"}), "s3_location", "s3_location must not carry a user or password"),
        (json!({"s3_location": "/srv/../etc/x.zip"}), "s3_location", "s3_location must be the absolute path of a file, without `..`"),
    ]);
}

#[test]
fn what_an_order_has_in_its_environment() {
    assert_told_of_an_order(&[
        (json!({"env_vars": ["A"]}), "env_vars", "env_vars must be an object of texts, not a list"),
        (json!({"env_vars": {"A": 1}}), "env_vars", "env_vars.A must be a text, not a number"),
        (
            json!({"env_vars": {"LD_PRELOAD": "canary"}}),
            "env_vars",
            "env_vars: `LD_PRELOAD` may not be set: it makes programs load or run other code",
        ),
        (
            json!({"ssm_paths": ["/ok", "gcp:::sm:x"]}),
            "ssm_paths",
            "ssm_paths[1]: `gcp:::sm` is no credential provider: use aws:::ssm, aws:::secretd, env:::var, file:::json, file:::sops or vault:::kv2",
        ),
        (
            json!({"secret_manager_paths": [""]}),
            "secret_manager_paths",
            "secret_manager_paths[0]: a credential location is a text of 1 to 1024 bytes without control characters",
        ),
        (json!({"sops_key": "AGE-SECRET-KEY-1CANARY"}), "sops_key", "sops_key must be an age recipient (age1…, the public half of a key)"),
    ]);
}

#[test]
fn which_workers_an_order_is_for() {
    let ssm = |targets: Value| json!({"execution_target": "ssm", "ssm_targets": targets});
    assert_told_of_an_order(&[
        (json!({"use_lambda": 1}), "use_lambda", "use_lambda must be true or false, not a number"),
        (
            json!({"use_lambda": true, "execution_target": "codebuild"}),
            "execution_target",
            "use_lambda is true, but execution_target is 'codebuild': give only one of them",
        ),
        (
            json!({"use_lambda": false, "execution_target": "lambda"}),
            "execution_target",
            "use_lambda is false, but execution_target is 'lambda': give only one of them",
        ),
        (ssm(json!([])), "ssm_targets", "ssm_targets must be an object, not a list"),
        (
            ssm(json!({"instance_ids": ["a"], "tags": {"role": "web"}})),
            "ssm_targets",
            "ssm_targets leads to 2 pools: an order runs in one; name one instance or one tag",
        ),
        (ssm(json!({"tags": {"role": 1}})), "ssm_targets", "ssm_targets.tags.role must be a text or a list of texts"),
        (
            ssm(json!({"tags": {"a b": "c"}})),
            "ssm_targets",
            "ssm_targets leads to no pool: `a b-c` is not a name: 1 to 64 of a-z, 0-9, - and _, starting with a letter or digit",
        ),
    ]);
}

fn assert_told_of_a_job(table: &[(Value, &str, &str)]) {
    for (change, field, expected) in table {
        let problems = validate(&with(job(&json!([order(), order()])), change)).expect_err(&change.to_string());
        assert_eq!(problems, [Problem { field: (*field).to_owned(), text: (*expected).to_owned() }], "{change}");
    }
}

#[test]
fn every_field_of_a_job_names_what_is_wrong_with_it() {
    assert_told_of_a_job(&[
        (json!({"orders": {}}), "orders", "orders must be a list of orders, not an object"),
        (json!({"orders": [order(), 5]}), "orders[1]", "order[1]: an order must be an object"),
        (json!({"username": null}), "username", "username is missing"),
        (
            json!({"username": "a:b"}),
            "username",
            "username 'a:b' must be 1 to 64 of letters, digits, - _ and .; a user name may also have @ + [ and ]",
        ),
        (json!({"flow_label": "a b"}), "flow_label", "flow_label 'a b' must be 1 to 64 of letters, digits, - _ and ."),
        (
            json!({"pr_comment_search_tag": "###"}),
            "pr_comment_search_tag",
            "pr_comment_search_tag '###' must be 1 to 64 of letters, digits, - _ and .",
        ),
        (json!({"trace_id": "short"}), "trace_id", "trace_id 'short' must be 8 to 64 of letters, digits, - and _"),
        (json!({"run_id": "../x"}), "run_id", "run_id '../x' is not a UUID: it makes a repeat the same job"),
        (json!({"git_repo": "-x/y"}), "git_repo", "git_repo '-x/y' is neither org/repo nor a git address"),
        (
            json!({"git_repo": "https://other.example/a/b"}),
            "git_repo",
            "git_repo: the host `other.example` is not on the list of allowed git hosts: an operator adds it with git.allowed_hosts or --allow-git-host other.example",
        ),
        (
            json!({"git_token_location": "x:::y:z"}),
            "git_token_location",
            "git_token_location: `x:::y` is no credential provider: use aws:::ssm, aws:::secretd, env:::var, file:::json, file:::sops or vault:::kv2",
        ),
    ]);
}

#[test]
fn what_a_job_says_about_its_course() {
    assert_told_of_a_job(&[
        (json!({"git_provider": "gitlab"}), "git_provider", "git_provider 'gitlab' is not supported (must be one of ['github'])"),
        (json!({"pr_number": -1}), "pr_number", "pr_number must be a positive whole number, without quotes"),
        (json!({"pr_number": 1_u64 << 63}), "pr_number", "pr_number must be a positive whole number, without quotes"),
        (json!({"issue_number": "1"}), "issue_number", "issue_number must be a positive whole number, without quotes"),
        (json!({"job_timeout": 0}), "job_timeout", "job_timeout must be a whole number from 1 to 604800, without quotes"),
        (json!({"presign_expiry": "x"}), "presign_expiry", "presign_expiry must be a whole number from 1 to 1209600, without quotes"),
        (json!({"max_parallel": 1001}), "max_parallel", "max_parallel must be a whole number from 1 to 1000, without quotes"),
        (json!({"priority": 10}), "priority", "priority must be a whole number from 0 to 9, without quotes"),
        (json!({"callbacks": ["https://x/", "http://x/canary"]}), "callbacks", "callbacks[1] must be https: http is for this machine only"),
        (json!({"callbacks": ["https://u:canary@x/"]}), "callbacks", "callbacks[0] must not carry a user or password"),
        (json!({"callbacks": ["ftp://x/"]}), "callbacks", "callbacks[0] must be https://HOST/PATH"),
        (json!({"callbacks": ["canary"]}), "callbacks", "callbacks[0] is not an address such as https://HOST/PATH"),
        (json!({"callbacks": vec!["https://x/"; 6]}), "callbacks", "callbacks has 6 addresses, more than 5"),
    ]);
}

#[test]
fn a_repository_is_needed_for_comments_and_needs_a_token() {
    let archive = with(order(), &json!({"s3_location": "s3://bucket/key.zip"}));
    let without_repository = with(job(&json!([archive])), &json!({"git_repo": null, "pr_number": 7}));
    assert_eq!(texts(&without_repository), ["pr_number needs git_repo as org/repo: that is where the comment goes"]);
    let without_token = with(job(&json!([archive])), &json!({"git_token_location": ""}));
    assert_eq!(texts(&without_token), ["git_token_location is missing or empty, but git_repo is given: it needs one"]);
}

#[test]
fn all_problems_come_at_once_and_in_one_order() {
    let bad = json!({
        "username": "a:b", "git_repo": "acme/infra", "git_token_location": "/t", "priority": 99,
        "orders": [{"order_name": "vpc", "cmds": [], "timeout": -5}, {"order_name": "vpc", "cmds": ["x"], "timeout": 1, "dependencies": ["nobody"]}],
    });
    let told = texts(&bad);
    assert_eq!(
        told,
        [
            "username 'a:b' must be 1 to 64 of letters, digits, - _ and .; a user name may also have @ + [ and ]",
            "priority must be a whole number from 0 to 9, without quotes",
            "vpc: cmds is empty or missing",
            "vpc: timeout is missing or invalid",
            "vpc: order_name 'vpc' belongs to order[0] already: names and queue ids must be unique",
            "vpc: unknown dependency 'nobody': no order has this queue_id or order_name",
        ]
    );
    assert_eq!(texts(&bad), told);
}

#[test]
fn a_thousand_problems_are_counted_and_not_all_told() {
    let told = texts(&job(&json!(vec![json!({}); 1_000])));
    assert_eq!(told.len(), 201);
    assert_eq!(told[200], "there are 1800 more problems of these kinds");
}

#[test]
fn nothing_that_may_be_secret_is_told() {
    let bad = with(
        order(),
        &json!({
            "cmds": ["canary", 5], "env_vars": {"LD_PRELOAD": "canary", "X": ["canary"]}, "s3_location": "ftp://canary", "sops_key": "canary",
            "must_succeed": "canary", "timeout": "canary",
        }),
    );
    let job = with(job(&json!([bad])), &json!({"callbacks": ["http://x/canary"], "pr_number": "canary", "priority": "canary"}));
    let told = texts(&job);
    assert_eq!(told.len(), 10, "{told:#?}");
    assert!(!format!("{told:?}").contains("canary"), "{told:#?}");
}
