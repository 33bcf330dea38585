//! What comes out of a job that is right.

use super::*;
use proto::{
    git::GitUrl,
    orders::{CodeSource, GitSource, PullRequest},
    path::RepoPath,
};

fn valid(job: &Value) -> ValidJob {
    validate(job).expect("a valid job")
}

fn git(job: &ValidJob, index: usize) -> &GitSource {
    let CodeSource::Git(git) = &job.bundles[index].source else { panic!("no git source") };
    git
}

/// vpc, then rds; then migrations, which may fail.
fn documented() -> Value {
    let page = include_str!("../../../../docs/reference/orders.md");
    let (_, from) = page.split_once("```json").unwrap();
    let (example, _) = from.split_once("```").unwrap();
    serde_json::from_str(example).unwrap()
}

#[test]
fn the_documented_example_becomes_a_graph() {
    let job = valid(&documented());
    let nodes = &job.spec.graph.0;
    let told: Vec<_> = nodes.iter().map(|node| (node.name.as_str(), node.needs.clone(), node.optional, node.timeout_s)).collect();
    let expected = [("vpc", vec![], false, 600), ("rds", vec![JobNo(0)], false, 600), ("migrations", vec![JobNo(1)], true, 300)];
    assert_eq!(told, expected);
    let pools: Vec<_> = nodes.iter().map(|node| node.pool.as_str()).collect();
    assert_eq!(pools, ["default", "default", "quick"]);
    assert_eq!(job.spec.flow_id(), "ann:0a1b2c3d-exec");
    assert_eq!(job.spec.pull_request, Some(PullRequest { repo: "acme/infra".into(), number: 42 }));
    assert_eq!((job.spec.job_timeout_s, job.spec.max_parallel, job.spec.priority), (3600, 10, 5));
    assert_eq!(job.spec.search_tag, "4e5f6071");
    let bundle = &job.bundles[1];
    assert_eq!(bundle.cmds, ["terraform init", "terraform apply -auto-approve"]);
    assert_eq!(bundle.env_vars["TF_VAR_env"].expose(), "prod");
    assert_eq!(bundle.run_key.expose(), "key of the run");
    assert_eq!(git(&job, 1).folder, "infra/rds".parse::<RepoPath>().unwrap());
    assert_eq!(git(&job, 1).url.as_str(), "https://github.com/acme/infra.git");
    assert_eq!(git(&job, 1).token.as_ref().unwrap().path(), "/ci/token");
    assert_eq!(job.run_id, None);
}

#[test]
fn names_and_queue_ids_default_to_numbers_and_both_can_be_waited_for() {
    let orders = json!([
        order(),
        with(order(), &json!({"dependencies": ["0001"]})),
        with(order(), &json!({"dependencies": ["order-0001", "0002", "0001"]}))
    ]);
    let job = valid(&job(&orders));
    let told: Vec<_> = job.spec.graph.0.iter().map(|node| (node.name.as_str(), node.needs.clone())).collect();
    assert_eq!(told, [("order-0001", vec![]), ("order-0002", vec![JobNo(0)]), ("order-0003", vec![JobNo(0), JobNo(1)])]);
}

#[test]
fn targets_of_both_generations_lead_to_pools() {
    for (change, pool) in [
        (json!({}), "default"),
        (json!({"use_lambda": true}), "quick"),
        (json!({"use_lambda": false}), "default"),
        (json!({"use_lambda": null, "execution_target": ""}), "default"),
        (json!({"execution_target": "lambda"}), "quick"),
        (json!({"execution_target": "lambda", "use_lambda": true}), "quick"),
        (json!({"execution_target": "codebuild", "use_lambda": false}), "default"),
        (json!({"execution_target": "gpu"}), "gpu"),
        (json!({"execution_target": "ssm", "ssm_targets": {"instance_ids": ["i-0AB"]}}), "node-i-0ab"),
        (json!({"execution_target": "ssm", "ssm_targets": {"tags": {"Role": "Web"}}}), "role-web"),
        (json!({"execution_target": "ssm", "ssm_targets": {"tags": {"role": ["web"]}}}), "role-web"),
    ] {
        let job = valid(&job(&json!([with(order(), &change)])));
        assert_eq!(job.spec.graph.0[0].pool.as_str(), pool, "{change}");
    }
}

#[test]
fn where_the_code_comes_from() {
    let source = |change: &Value, job_change: &Value| {
        let job = valid(&with(job(&json!([with(order(), change)])), job_change));
        job.bundles[0].source.clone()
    };
    for location in ["s3://bucket/a/key.zip", "https://x.example/a.zip?signature=1", "/srv/a.zip"] {
        let zip = source(&json!({"s3_location": location, "git_repo": "acme/other"}), &json!({}));
        assert_eq!(zip, CodeSource::Zip { location: location.into() });
    }
    let CodeSource::Git(own) = source(&json!({"git_repo": "acme/other.git", "commit_hash": "abc1234"}), &json!({"commit_hash": "fff0000"}))
    else {
        panic!("no git source")
    };
    assert_eq!((own.url.as_str(), own.commit.as_deref(), &own.ssh_url), ("https://github.com/acme/other.git", Some("abc1234"), &None));
    let with_key = json!({"git_ssh_key_location": "aws:::secretd:ci/key", "git_token_location": null, "git_repo": "https://git.example/a/b", "commit_hash": "fff0000"});
    let CodeSource::Git(over_ssh) = source(&json!({}), &with_key) else { panic!("no git source") };
    assert_eq!(over_ssh.ssh_url.as_ref().unwrap().as_str(), "git@git.example:a/b.git");
    assert_eq!((over_ssh.token, over_ssh.commit.as_deref()), (None, Some("fff0000")));
    // Bare commands, where nobody says a word about code.
    let nothing = json!({"git_repo": null, "git_token_location": null});
    let machine = json!({"execution_target": "ssm", "ssm_targets": {"instance_ids": ["i-1"]}});
    for bare in [machine, json!({"execution_target": "gpu"}), json!({})] {
        assert_eq!(source(&bare, &nothing), CodeSource::None);
    }
}

#[test]
fn a_full_address_may_lead_to_the_base_and_to_allowed_hosts() {
    let key = json!({"git_ssh_key_location": "/ci/key"});
    for (repository, url, ssh_url) in [
        ("acme/infra", "https://github.com/acme/infra.git", Some("git@github.com:acme/infra.git")),
        ("https://github.com/acme/infra", "https://github.com/acme/infra", Some("git@github.com:acme/infra.git")),
        ("https://git.example/group/sub/infra.git", "https://git.example/group/sub/infra.git", Some("git@git.example:group/sub/infra.git")),
        ("git@github.com:acme/infra.git", "git@github.com:acme/infra.git", None),
        ("https://git.example/infra", "https://git.example/infra", None),
    ] {
        let job = valid(&with(with(job(&json!([order()])), &key), &json!({"git_repo": repository})));
        let git = git(&job, 0);
        assert_eq!((git.url.as_str(), git.ssh_url.as_ref().map(GitUrl::as_str)), (url, ssh_url));
    }
    for elsewhere in ["http://github.com/acme/infra", "https://github.com:8443/acme/infra", "ssh://git@github.com:2222/acme/infra"] {
        let told = texts(&with(with(job(&json!([order()])), &key), &json!({"git_repo": elsewhere})));
        assert!(told.len() == 1 && told[0].starts_with("git_repo: the host `github.com"), "{elsewhere}: {told:?}");
    }
    assert!(GitBase::parse("ssh://git@github.com").is_err() && GitBase::parse("nonsense").is_err());
}

#[test]
fn what_the_caller_says_wins_over_the_defaults() {
    let said = json!({
        "trace_id": "leg_00-1", "run_id": "0192F0C1-7E3A-7ABC-8DEF-0123456789AB", "flow_label": "blue-green", "pr_comment_search_tag": "tag",
        "issue_number": 3, "pr_number": 4, "job_timeout": 9000.0, "presign_expiry": 9300, "max_parallel": 3, "priority": 9,
        "callbacks": ["https://x.example/hook?t=1", "http://127.0.0.1:8080/", "http://localhost/", "http://[::1]/"],
    });
    let job = valid(&with(job(&json!([with(order(), &json!({"timeout": 9000}))])), &said));
    assert_eq!(job.spec.flow_id(), "ann:leg_00-1-blue-green");
    assert_eq!(job.run_id.as_deref(), Some("0192f0c1-7e3a-7abc-8def-0123456789ab"));
    assert_eq!((job.spec.job_timeout_s, job.spec.max_parallel, job.spec.priority), (9000, 3, 9));
    assert_eq!((job.spec.search_tag.as_str(), job.callbacks.len()), ("tag", 4));
    assert_eq!(job.spec.pull_request.unwrap().number, 4, "a pull request before an issue");
    assert!(job.spec.callbacks.is_empty(), "nothing in the clear in what everybody sees");
}

#[test]
fn what_is_not_known_or_not_the_callers_is_ignored() {
    let extra = json!({"callback_url": "https://evil.example", "ssm_document_name": 5, "nobody": {"knows": ["this"]}});
    valid(&with(job(&json!([with(order(), &extra)])), &json!({"done_endpt": "s3://x/y", "sops_key_ssm_path": [], "more": null})));
}

#[test]
fn credentials_are_locations() {
    let paths = json!({"ssm_paths": ["/a", "env:::var:B"], "secret_manager_paths": ["prod/db", "vault:::kv2:c/d"], "sops_key": AGE});
    let job = valid(&job(&json!([with(order(), &paths)])));
    let told = |list: &[proto::orders::Location]| list.iter().map(|at| at.as_str().to_owned()).collect::<Vec<_>>();
    assert_eq!(told(&job.bundles[0].ssm_paths), ["/a", "env:::var:B"]);
    assert_eq!(told(&job.bundles[0].secret_manager_paths), ["aws:::secretd:prod/db", "vault:::kv2:c/d"]);
    assert_eq!(job.bundles[0].sops_key.as_deref(), Some(AGE));
}

#[test]
fn a_job_of_machines_only_is_labelled_so() {
    let machine = with(order(), &json!({"execution_target": "ssm", "ssm_targets": {"instance_ids": ["i-1"]}}));
    assert_eq!(valid(&job(&json!([machine]))).spec.flow_label, "ssm");
    assert_eq!(valid(&job(&json!([machine, order()]))).spec.flow_label, "exec");
}

#[test]
fn what_stands_beside_a_job_counts_more_than_what_is_in_it() {
    let body = json!({"job_parameters_b64": "e30=", "trace_id": "envelope", "done_endpt": 1});
    let envelope = Envelope::read(body.to_string().as_bytes()).unwrap();
    assert_eq!((envelope.has_job(), envelope.job()), (true, Some("e30=")));
    let inner = with(job(&json!([order()])), &json!({"trace_id": "from-within", "run_id": "0192f0c1-7e3a-7abc-8def-0123456789ab"}));
    let job = JobRequest::read(inner.to_string().as_bytes()).unwrap().in_envelope(envelope);
    assert_eq!(job.run_id().as_deref(), Some("0192f0c1-7e3a-7abc-8def-0123456789ab"));
    assert_eq!(job.validate(&rules(), defaults()).unwrap().spec.trace_id, "envelope");
}
