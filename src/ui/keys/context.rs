//! Where a key binding is active: a tab, a list, a dialog.

/// Tabs of the detail pane.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Tab {
    Info,
    Pieces,
    #[default]
    Peers,
    Files,
    Trackers,
    Log,
}

impl Tab {
    /// All tabs, in display order.
    pub const ALL: [Tab; 6] = [Tab::Info, Tab::Pieces, Tab::Peers, Tab::Files, Tab::Trackers, Tab::Log];

    /// Returns the title.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Tab::Info => "Info",
            Tab::Pieces => "Pieces",
            Tab::Peers => "Peers",
            Tab::Files => "Files",
            Tab::Trackers => "Trackers",
            Tab::Log => "Log",
        }
    }

    /// Returns the tab `step` positions further, cyclically.
    #[must_use]
    pub fn step(self, step: usize) -> Self {
        Tab::ALL[(self as usize + step) % Tab::ALL.len()]
    }
}

/// Where a key binding is active.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyContext {
    /// In all panes, and in dialogs for keys that no narrower context has.
    Everywhere,
    /// On the selected torrent, in the list and in the detail pane.
    Torrents,
    /// In the peers tab.
    Peers,
    /// In the files tab.
    Files,
    /// In the trackers tab.
    Trackers,
    /// In the pieces tab.
    Pieces,
    /// In the log tab.
    Log,
    /// In every dialog.
    Dialogs,
    /// In a dialog that asks a question.
    Questions,
    /// In a text to read.
    Messages,
    /// In a dialog with text fields.
    Forms,
    /// On the check boxes of a dialog.
    Options,
    /// In a text field.
    Text,
    /// In a list with a search field above.
    Search,
    /// In the file picker, while its search field is empty.
    Picker,
    /// In the file selection.
    FileSelect,
    /// In the settings.
    Settings,
    /// In the choice of columns.
    Columns,
    /// In the help.
    Help,
    /// In the dialog that shows a created torrent.
    Share,
}

impl KeyContext {
    /// All contexts, in the order of the help and the README.
    pub const ALL: [KeyContext; 20] = [
        KeyContext::Torrents,
        KeyContext::Everywhere,
        KeyContext::Peers,
        KeyContext::Pieces,
        KeyContext::Files,
        KeyContext::Trackers,
        KeyContext::Log,
        KeyContext::Dialogs,
        KeyContext::Questions,
        KeyContext::Messages,
        KeyContext::Forms,
        KeyContext::Options,
        KeyContext::Text,
        KeyContext::Search,
        KeyContext::Picker,
        KeyContext::FileSelect,
        KeyContext::Settings,
        KeyContext::Columns,
        KeyContext::Help,
        KeyContext::Share,
    ];

    /// Returns the context of a tab that has key bindings of its own.
    #[must_use]
    pub const fn of(tab: Tab) -> Option<KeyContext> {
        match tab {
            Tab::Info => None,
            Tab::Pieces => Some(KeyContext::Pieces),
            Tab::Peers => Some(KeyContext::Peers),
            Tab::Files => Some(KeyContext::Files),
            Tab::Trackers => Some(KeyContext::Trackers),
            Tab::Log => Some(KeyContext::Log),
        }
    }

    /// Returns whether the context belongs to dialogs.
    #[must_use]
    pub const fn is_dialog(self) -> bool {
        !matches!(
            self,
            KeyContext::Everywhere
                | KeyContext::Torrents
                | KeyContext::Peers
                | KeyContext::Files
                | KeyContext::Trackers
                | KeyContext::Pieces
                | KeyContext::Log
        )
    }

    /// Returns whether the context is active only while text is typed, so that no character can be bound in it.
    #[must_use]
    pub const fn is_typing(self) -> bool {
        matches!(self, KeyContext::Text | KeyContext::Forms | KeyContext::Search | KeyContext::Picker)
    }

    /// Returns the heading in the help.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            KeyContext::Everywhere => "Everywhere",
            KeyContext::Torrents => "Selected torrent",
            KeyContext::Peers => "Peers tab",
            KeyContext::Files => "Files tab",
            KeyContext::Trackers => "Trackers tab",
            KeyContext::Pieces => "Pieces tab",
            KeyContext::Log => "Log tab",
            KeyContext::Dialogs => "Dialogs",
            KeyContext::Questions => "Questions",
            KeyContext::Messages => "Messages",
            KeyContext::Forms => "Dialogs with text fields",
            KeyContext::Options => "Check boxes",
            KeyContext::Text => "Text fields",
            KeyContext::Search => "Lists with a search field",
            KeyContext::Picker => "File picker",
            KeyContext::FileSelect => "File selection",
            KeyContext::Settings => "Settings",
            KeyContext::Columns => "Columns",
            KeyContext::Help => "Help",
            KeyContext::Share => "Created torrent",
        }
    }
}
