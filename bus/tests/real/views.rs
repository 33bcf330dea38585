//! Views only go forward, and whoever follows them misses nothing, whatever happens to the server.

use crate::support::words::{run, view};
use crate::support::{Ground, eventually, soon};
use bus::{ViewEvent, ViewWatch};
use proto::RunId;
use proto::view::JobsPage;
use std::collections::HashMap;

/// What a follower knows after the next catching up.
async fn caught_up(watch: &mut ViewWatch, known: &mut HashMap<RunId, u64>) {
    loop {
        match soon("the watch", watch.next()).await.unwrap() {
            ViewEvent::Put(view) => {
                let before = known.insert(view.id, view.seq);
                assert!(before.is_none_or(|seq| seq <= view.seq), "never backwards");
            }
            ViewEvent::Gone(run) => {
                known.remove(&run);
            }
            ViewEvent::CaughtUp => return,
        }
    }
}

#[tokio::test]
async fn a_view_is_shown_and_an_older_one_never_replaces_it() {
    let ground = Ground::new().await;
    let (views, run) = (ground.bus.views(), run());
    assert_eq!(views.get(run).await.unwrap(), None);
    views.put(&view(run, 5)).await.unwrap();
    views.put(&view(run, 4)).await.unwrap();
    assert_eq!(views.get(run).await.unwrap(), Some(view(run, 5)));
    // Another scheduler, who remembers nothing.
    let other = ground.connect().await.views();
    other.put(&view(run, 3)).await.unwrap();
    assert_eq!(views.get(run).await.unwrap(), Some(view(run, 5)));
    other.put(&view(run, 6)).await.unwrap();
    // The first one remembers a revision that is not the last any more.
    views.put(&view(run, 5)).await.unwrap();
    assert_eq!(other.get(run).await.unwrap(), Some(view(run, 6)));
    views.put(&view(run, 7)).await.unwrap();
    assert_eq!(other.get(run).await.unwrap(), Some(view(run, 7)));
}

#[tokio::test]
async fn many_writers_of_one_view_end_at_the_newest() {
    let ground = Ground::new().await;
    let run = run();
    let mut writers = Vec::new();
    for n in 0..4_u64 {
        let views = ground.connect().await.views();
        writers.push(tokio::spawn(async move {
            for seq in 1..=25 {
                views.put(&view(run, seq * 4 + n)).await.unwrap();
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(ground.bus.views().get(run).await.unwrap().unwrap().seq, 103);
}

#[tokio::test]
async fn a_follower_is_told_what_is_there_and_then_what_changes() {
    let ground = Ground::new().await;
    let (views, first, second) = (ground.bus.views(), run(), run());
    let mut empty = views.watch().await.unwrap();
    assert_eq!(soon("the end of nothing", empty.next()).await, Some(ViewEvent::CaughtUp));
    views.put(&view(first, 1)).await.unwrap();
    assert_eq!(soon("the first", empty.next()).await, Some(ViewEvent::Put(view(first, 1))));
    let mut watch = views.watch().await.unwrap();
    assert_eq!(soon("what is there", watch.next()).await, Some(ViewEvent::Put(view(first, 1))));
    assert_eq!(soon("the end of it", watch.next()).await, Some(ViewEvent::CaughtUp));
    views.put(&view(second, 2)).await.unwrap();
    assert_eq!(soon("the second", watch.next()).await, Some(ViewEvent::Put(view(second, 2))));
    let js = async_nats::jetstream::new(ground.plain_client().await);
    let bucket = js.get_key_value("VIEWS").await.unwrap();
    bucket.put(format!("run.{second}"), "not a view".into()).await.unwrap();
    bucket.delete(format!("run.{first}")).await.unwrap();
    assert_eq!(soon("the end of the first", watch.next()).await, Some(ViewEvent::Gone(first)));
    views.put(&view(second, 3)).await.unwrap();
    assert_eq!(soon("the second again", watch.next()).await, Some(ViewEvent::Put(view(second, 3))));
}

#[tokio::test]
async fn a_follower_misses_nothing_when_the_server_is_killed() {
    let mut ground = Ground::new().await;
    let (kept, removed, new) = (run(), run(), run());
    let views = ground.bus.views();
    views.put(&view(kept, 1)).await.unwrap();
    views.put(&view(removed, 2)).await.unwrap();
    let follower = ground.connect().await;
    let mut watch = follower.views().watch().await.unwrap();
    let mut known = HashMap::new();
    caught_up(&mut watch, &mut known).await;
    assert_eq!(known, HashMap::from([(kept, 1), (removed, 2)]));
    ground.kill_and_start_again().await;
    eventually("a write", || async { views.put(&view(new, 3)).await.ok() }).await;
    views.put(&view(kept, 4)).await.unwrap();
    let js = async_nats::jetstream::new(ground.plain_client().await);
    js.get_key_value("VIEWS").await.unwrap().purge(format!("run.{removed}")).await.unwrap();
    while known != HashMap::from([(kept, 4), (new, 3)]) {
        match soon("the watch", watch.next()).await.unwrap() {
            ViewEvent::Put(view) => drop(known.insert(view.id, view.seq)),
            ViewEvent::Gone(run) => drop(known.remove(&run)),
            ViewEvent::CaughtUp => {}
        }
    }
}

#[tokio::test]
async fn a_follower_sees_every_run_while_they_are_written_and_the_server_is_killed_again_and_again() {
    let mut ground = Ground::new().await;
    let writer = ground.connect().await;
    let writing = tokio::spawn(async move {
        let mut written = HashMap::new();
        for seq in 1..=400 {
            let run = if seq % 3 == 0 { run() } else { *written.keys().next().unwrap_or(&run()) };
            eventually("a write", || async { writer.views().put(&view(run, seq)).await.ok() }).await;
            written.insert(run, seq);
        }
        written
    });
    let mut watch = ground.connect().await.views().watch().await.unwrap();
    for _ in 0..3 {
        ground.kill_and_start_again().await;
        eventually("a working server", || async { ground.bus.probe().await.ok() }).await;
    }
    let written = soon("writing", writing).await.unwrap();
    let mut known: HashMap<RunId, u64> = HashMap::new();
    while known != written {
        if let ViewEvent::Put(view) = soon("the watch", watch.next()).await.unwrap() {
            let before = known.insert(view.id, view.seq);
            assert!(before.is_none_or(|seq| seq <= view.seq), "never backwards");
        }
    }
}

#[tokio::test]
async fn a_page_of_jobs_never_replaces_a_newer_one_and_followers_of_views_do_not_see_it() {
    let ground = Ground::new().await;
    let (run, views) = (run(), ground.bus.views());
    let page = |seq| JobsPage { run, page: 3, seq, jobs: Vec::new() };
    for seq in [5, 9, 7] {
        views.put_jobs(&page(seq)).await.unwrap();
    }
    assert_eq!(views.jobs(run, 3).await.unwrap(), Some(page(9)));
    assert_eq!(views.jobs(run, 4).await.unwrap(), None);
    views.put(&view(run, 9)).await.unwrap();
    let mut watch = views.watch().await.unwrap();
    assert_eq!(soon("the view", watch.next()).await, Some(ViewEvent::Put(view(run, 9))));
    assert_eq!(soon("the end of the list", watch.next()).await, Some(ViewEvent::CaughtUp));
}
