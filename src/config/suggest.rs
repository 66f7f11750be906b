//! What somebody probably meant.

/// The candidate nearest to `written`, if one is near: at most one letter in three differs.
pub(super) fn near<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let written = written.to_lowercase().replace(['-', ' '], "_");
    if written.len() > 64 {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&written, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_near() {
        let keys = ["host", "port", "username", "password_file", "min_group"];
        for (written, meant) in [
            ("hots", Some("host")),
            ("Host", Some("host")),
            ("user_name", Some("username")),
            ("password-file", Some("password_file")),
            ("min_grp", Some("min_group")),
            ("minimum_group", None),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(near(written, keys), meant, "{written}");
        }
    }
}
