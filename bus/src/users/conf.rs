//! The table as a block of a server's configuration.

use super::{Permissions, User, Users};
use std::fmt::Write as _;

impl Users {
    /// The block, for people: passwords come from the environment of the server, `$GATEWAY_PASSWORD` for the user `gateway`.
    pub fn configuration(&self) -> String {
        block(&self.all(), |user| format!("${}", variable(&user.name)))
    }

    /// The block with each user's password, or whatever the server takes in its place, as it stands in the file.
    pub(crate) fn configuration_with(&self, unrestricted: Option<&str>, password: impl Fn(&str) -> String) -> String {
        let mut users = self.all();
        let all = unrestricted.map(|name| User { name: name.to_owned(), permissions: Permissions::default() });
        users.splice(0..0, all);
        block(&users, |user| password(&user.name))
    }
}

impl User {
    /// The variable of the environment that its password stands in.
    pub fn password_variable(&self) -> String {
        variable(&self.name)
    }
}

fn variable(user: &str) -> String {
    let upper: String = user.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    format!("{upper}_PASSWORD")
}

/// A user without any permission in its list is not restricted: NATS takes an absent list for everything.
fn block(users: &[User], password: impl Fn(&User) -> String) -> String {
    let mut out = String::from("authorization {\n  users: [\n");
    for user in users {
        let head = format!("    {{ user: \"{}\", password: {}", user.name, password(user));
        if user.permissions.publish.is_empty() {
            let _ = writeln!(out, "{head} }}");
            continue;
        }
        let _ = writeln!(out, "{head}, permissions: {{");
        for (act, groups) in [("publish", &user.permissions.publish), ("subscribe", &user.permissions.subscribe)] {
            let _ = writeln!(out, "      {act}: [");
            for (what_for, subjects) in groups {
                let _ = writeln!(out, "        # {what_for}");
                for subject in subjects {
                    let _ = writeln!(out, "        \"{subject}\"");
                }
            }
            let _ = writeln!(out, "      ]");
        }
        let _ = writeln!(out, "    }} }}");
    }
    out + "  ]\n}\n"
}
