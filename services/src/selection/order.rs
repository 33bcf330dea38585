//! Which of the chosen services come before which.

use crate::mapping::Mapping;
use proto::sync::ServiceId;
use std::collections::{BTreeMap, BTreeSet};

/// For each chosen service the chosen ones that come before it. Where a service between two is not chosen, they keep their
/// order: with a after b after c, and b left out, a still comes after c.
pub(super) fn within(chosen: &BTreeSet<&ServiceId>, mapping: &Mapping) -> BTreeMap<ServiceId, Vec<ServiceId>> {
    let before = |id: &ServiceId| mapping.services.get(id).map(|declared| declared.after.as_slice()).unwrap_or_default();
    let mut all = BTreeMap::new();
    for id in chosen {
        let (mut seen, mut found) = (BTreeSet::new(), BTreeSet::new());
        let mut open: Vec<&ServiceId> = before(id).iter().collect();
        while let Some(next) = open.pop() {
            if !seen.insert(next) {
                continue;
            }
            if chosen.contains(next) {
                found.insert(next.clone());
            } else {
                open.extend(before(next));
            }
        }
        all.insert((*id).clone(), found.into_iter().collect());
    }
    all
}
