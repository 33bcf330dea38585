pub(super) async fn check(_s: &service::settings::Settings) -> Vec<super::Finding> { vec![] }
