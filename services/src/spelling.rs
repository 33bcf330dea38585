//! The nearest known name for a misspelt one: insert, delete, replace, swap of neighbours, over short names only.

use proto::sync::ServiceId;

/// Longest name that is compared.
const LONGEST: usize = 64;

/// The known name nearest to `name`, if it is near enough to be meant. Of equally near ones the first.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST {
        return None;
    }
    // One slip per three letters: `manged` finds `managed`, `foo` finds nothing.
    let limit = (name.len() / 3).clamp(1, 4);
    known
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (distance(name.as_bytes(), candidate.as_bytes()), candidate))
        .filter(|(far, _)| *far <= limit)
        .min_by_key(|(far, _)| *far)
        .map(|(_, candidate)| candidate)
}

/// The service that is meant by an unknown one: a similar name in the same project, or the same name in another.
pub(crate) fn nearest_service<'a>(id: &ServiceId, known: impl IntoIterator<Item = &'a ServiceId>) -> Option<&'a ServiceId> {
    let known: Vec<&ServiceId> = known.into_iter().collect();
    let of_project = || known.iter().copied().filter(|known| known.project() == id.project());
    let name = nearest(id.name(), of_project().map(ServiceId::name));
    let similar = name.and_then(|name| of_project().find(|known| known.name() == name));
    similar.or_else(|| known.iter().copied().find(|known| known.name() == id.name()))
}

fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let replaced = above[j] + usize::from(x != y);
            let mut best = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_near_by_name_or_by_project() {
        let known = ["lab/toy", "platform/minio", "platform/postgres"].map(|id| id.parse::<ServiceId>().unwrap());
        for (id, expected) in [
            ("platform/postgre", Some("platform/postgres")),
            ("platform/toy", Some("lab/toy")),
            ("platform/gone", None),
            ("lab/minoi", None),
        ] {
            let near = nearest_service(&id.parse().unwrap(), &known);
            assert_eq!(near.map(ToString::to_string).as_deref(), expected, "{id}");
        }
    }

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known = ["managed", "reason", "prefix", "platform/postgres"];
        for (name, expected) in [
            ("manged", Some("managed")),
            ("prefxi", Some("prefix")),
            ("platform/postgre", Some("platform/postgres")),
            ("foo", None),
            ("", None),
            (&"m".repeat(100), None),
        ] {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
    }
}
