//! Login, tokens and the rules for several sessions of a user.
