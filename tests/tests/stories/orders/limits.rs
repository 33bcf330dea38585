//! What an order may use: memory, disk, and room in the log.

use super::{Ring, job, order};
use system_tests::fleet::Wishes;

/// The message with which the run's only order failed.
async fn failed(ring: &Ring, command: &str) -> anyhow::Result<(String, String)> {
    let run = ring.submit(&job(&[order("greedy", command)])).await?;
    let ended = ring.ended(run).await?;
    assert_eq!(ended["status"], "failed", "{ended:#}");
    let job = ring.jobs(run).await?.remove(0);
    let failure = job.failure.unwrap_or_else(|| panic!("it says why: {:?}", job.status));
    Ok((failure.kind, failure.message))
}

#[tokio::test]
async fn an_order_that_takes_too_much_memory_is_told_how_much() -> anyhow::Result<()> {
    let ring = Ring::start(Wishes::default().set("NAVVY__WORKER__LIMITS__MEMORY_BYTES", (128 * 1024 * 1024).to_string()), &["w1"]).await?;
    let (kind, message) = failed(&ring, "python3 -c \"import time; hog = b'x' * 400_000_000; time.sleep(600)\"").await?;
    assert_eq!(kind, "out_of_memory", "{message}");
    assert!(message.contains("out of memory, used ") && message.ends_with(" of 128 MiB"), "{message}");
    // The worker itself is well.
    let run = ring.submit(&job(&[order("modest", "true")])).await?;
    assert_eq!(ring.ended(run).await?["status"], "success");
    Ok(())
}

#[tokio::test]
async fn an_order_that_fills_the_disk_is_stopped() -> anyhow::Result<()> {
    let ring = Ring::start(Wishes::default().set("NAVVY__WORKER__LIMITS__DISK_BYTES", (8 * 1024 * 1024).to_string()), &["w1"]).await?;
    let filler = "n=0; while :; do n=$((n + 1)); head -c 500000 /dev/zero > \"fill$n\"; sleep 0.05; done";
    let (kind, message) = failed(&ring, filler).await?;
    assert_eq!(kind, "disk_full", "{message}");
    assert!(message.ends_with(" of 8 MiB"), "{message}");
    Ok(())
}

#[tokio::test]
async fn a_hundred_megabytes_of_output_are_cut_at_the_limit_and_the_order_goes_on() -> anyhow::Result<()> {
    let limit = 256 * 1024;
    let ring = Ring::start(Wishes::default().set("NAVVY__WORKER__LOG_LIMIT_BYTES", limit.to_string()), &["w1"]).await?;
    let run = ring.submit(&job(&[order("loud", "yes 0123456789abcdef | head -c 100000000")])).await?;
    assert_eq!(ring.ended(run).await?["status"], "success");
    let log = ring.log(run, 0).await?;
    assert!(log.len() < limit + 4096, "{} bytes", log.len());
    assert!(log.contains("0123456789abcdef\n0123456789abcdef"), "it holds the beginning");
    let last = log.lines().last().unwrap_or_default();
    assert!(last != "0123456789abcdef" && !last.is_empty(), "it says that it was cut: {last}");
    Ok(())
}
