//! The apps of the configuration, ready for logins: found by key, with their token keys prepared once.

use hashbrown::HashMap;

use crate::config::{App, Config};
use crate::identity::AppIndex;
use crate::session::token::{TokenKeyError, Verifier};

/// All apps. Shared by the workers, never changed.
#[derive(Debug)]
pub(crate) struct Apps {
    by_key: HashMap<String, AppIndex>,
    apps: Vec<ReadyApp>,
}

/// An app with what verifies its tokens.
#[derive(Debug)]
pub(crate) struct ReadyApp {
    pub settings: App,
    pub verifier: Verifier,
}

impl Apps {
    /// Prepares the apps of `config`.
    ///
    /// # Errors
    /// When a public key cannot be read.
    pub(crate) fn new(config: &Config) -> Result<Self, TokenKeyError> {
        let mut by_key = HashMap::new();
        let mut apps = Vec::new();
        for (index, app) in (0..).zip(&config.apps) {
            by_key.insert(app.key.clone(), AppIndex(index));
            apps.push(ReadyApp {
                settings: app.clone(),
                verifier: Verifier::new(app)?,
            });
        }
        Ok(Self { by_key, apps })
    }

    /// The app a client names.
    pub(crate) fn by_key(&self, key: &str) -> Option<(AppIndex, &ReadyApp)> {
        let index = *self.by_key.get(key)?;
        Some((index, self.get(index)))
    }

    /// An app known to exist.
    pub(crate) fn get(&self, index: AppIndex) -> &ReadyApp {
        &self.apps[usize::from(index.0)]
    }
}
