//! The list while runs come, change and go.

use super::*;
use crate::fixtures::{self, at};

fn run(n: u32, accepted: i64, status: RunStatus) -> RunView {
    let mut view = fixtures::view();
    view.id = RunId::from_repeatable(&[&n.to_string()], proto::ShardNo(0));
    view.accepted_at = at(accepted);
    view.status = status;
    view
}

fn ids(index: &Index, filter: &Filter, limit: usize) -> Vec<Vec<RunId>> {
    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let page = index.page(filter, after, limit);
        pages.push(page.runs);
        match page.next {
            Some(next) => after = Some(next),
            None => return pages,
        }
    }
}

#[test]
fn newest_first_in_pages_without_loss_or_repeat() {
    let mut index = Index::default();
    let views: Vec<RunView> = (0..10).map(|n| run(n, i64::from(n / 2), RunStatus::Running)).collect();
    for view in &views {
        index.put(view);
    }
    let mut expected: Vec<Place> = views.iter().map(|view| Place { accepted_at: view.accepted_at, id: view.id }).collect();
    expected.sort_unstable_by(|a, b| b.cmp(a));
    let expected: Vec<RunId> = expected.into_iter().map(|place| place.id).collect();
    for limit in [1, 3, 5, 10, 11] {
        assert_eq!(ids(&index, &Filter::default(), limit).concat(), expected, "{limit}");
    }
    assert_eq!(index.page(&Filter::default(), None, 10).next, None, "a full last page has no next one");
}

#[test]
fn a_run_that_arrives_or_goes_between_two_pages_shifts_nothing() {
    let mut index = Index::default();
    (0..6).for_each(|n| index.put(&run(n, i64::from(n), RunStatus::Running)));
    let first = index.page(&Filter::default(), None, 2);
    index.put(&run(9, 9, RunStatus::Running));
    index.remove(first.runs[1]);
    let second = index.page(&Filter::default(), first.next, 2);
    assert_eq!(second.runs, [run(3, 3, RunStatus::Running).id, run(2, 2, RunStatus::Running).id]);
}

#[test]
fn filters_hold_and_follow_a_change() {
    let mut index = Index::default();
    (0..4).for_each(|n| index.put(&run(n, i64::from(n), RunStatus::Running)));
    let mut ended = run(2, 2, RunStatus::Failed);
    ended.seq = 9;
    index.put(&ended);
    let mut late = run(2, 2, RunStatus::Running);
    late.seq = 8;
    index.put(&late);
    let failed = Filter::of_status(RunStatus::Failed);
    assert_eq!(ids(&index, &failed, 10).concat(), [ended.id]);
    assert_eq!(ids(&index, &Filter::of_status(RunStatus::Running), 1).concat().len(), 3);
    assert_eq!(ids(&index, &Filter::of_status(RunStatus::Unknown), 1).concat(), []);
}

#[test]
fn the_place_in_line_is_counted_in_its_own_pool() {
    let mut index = Index::default();
    let queued = |n: u32, pool: &str, since: i64| {
        let mut view = run(n, 0, RunStatus::Running);
        let pool: PoolName = pool.parse().unwrap();
        view.waiting_for = Some(WaitingFor::Worker { pool, position: None });
        view.jobs = vec![fixtures::job(0, "terraform", 1)];
        view.jobs[0].attempts[0].queued_at = at(since);
        "queued".clone_into(&mut view.jobs[0].attempts[0].status);
        view
    };
    let line = [queued(1, "a", 5), queued(2, "b", 1), queued(3, "a", 3), queued(4, "a", 9)];
    for view in &line {
        index.put(view);
    }
    let places: Vec<_> = line.iter().map(|view| index.queue_position(view.id)).collect();
    assert_eq!(places, [Some(2), Some(1), Some(1), Some(3)]);
    index.put(&run(3, 0, RunStatus::Running));
    assert_eq!(index.queue_position(line[0].id), Some(1));
    assert_eq!(index.queue_position(line[2].id), None);
    assert_eq!(index.pools().len(), 2);
}

#[test]
fn releases_are_found_by_kind_and_environment() {
    use proto::sync::ReleaseKind::{Hotfix, Production, Staging};
    let release = |kind: &str, environment: &str, n: u32| {
        let mut view = run(n, i64::from(n), RunStatus::Success);
        view.spec = serde_json::from_value(serde_json::json!({
            "action": "sync", "source": "platform", "git_url": "https://git.example/a/b", "environment": environment,
            "git_ref": "refs/heads/main", "wanted": {"services": "all"}, "command": ["true"], "timeout_s": 600, "projects": ["platform"],
            "triggered_by": "ci", "release": (!kind.is_empty()).then(|| serde_json::json!({"kind": kind})),
        }))
        .unwrap();
        view
    };
    let mut index = Index::default();
    let views = [
        release("staging", "staging", 0),
        release("", "staging", 1),
        release("production", "production", 2),
        run(3, 3, RunStatus::Running),
    ];
    for view in &views {
        index.put(view);
    }
    let found = |kind, environment: Option<&str>| {
        let filter = Filter::of_releases(kind, environment.map(|name| name.parse().unwrap()));
        ids(&index, &filter, 10).concat().into_iter().map(|id| views.iter().position(|view| view.id == id).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(found(None, None), [2, 0]);
    assert_eq!((found(Some(Staging), None), found(Some(Production), None), found(Some(Hotfix), None)), (vec![0], vec![2], vec![]));
    assert_eq!((found(None, Some("prod")), found(Some(Staging), Some("prod"))), (vec![2], vec![]));
}
