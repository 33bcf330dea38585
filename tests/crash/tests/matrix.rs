//! The crash matrix: every moment, `CRASH_ROUNDS` times. `CRASH_ONLY=C8` plays some of it.

use crash_tests::matrix;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_dies_wherever_nothing_is_lost_and_nothing_is_done_twice() -> anyhow::Result<()> {
    let wanted = matrix::Wanted::from_environment();
    let report = matrix::run(&matrix::all(), &wanted).await?;
    eprintln!("\n{}\n", report.table());
    if let Some((_, path)) = std::env::vars().find(|(name, _)| name == "NAVVY_CRASH_REPORT") {
        std::fs::write(path, serde_json::to_string_pretty(&report.json())?)?;
    }
    assert_eq!(report.violations(), 0, "see above");
    Ok(())
}
