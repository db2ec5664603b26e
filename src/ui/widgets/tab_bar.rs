//! The tab bar.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use crate::ui::keys::context::Tab;
use crate::ui::theme::style::Theme;
use crate::ui::widgets::painter::{fit, rule};

/// Minimum width at which every tab shows its title.
const NAMED: u16 = 58;

/// Returns the first cell and the width of each tab.
fn places(area: Rect, open: Tab) -> impl Iterator<Item = (Tab, u16, u16)> {
    let mut x = area.x + 2;
    Tab::ALL.into_iter().map(move |tab| {
        let named = area.width >= NAMED || open == tab;
        let width = if named { tab.title().len() as u16 + 4 } else { 3 };
        x += width;
        (tab, x - width, width)
    })
}

/// Returns the tab at cell `x` of the tab bar.
pub(crate) fn tab_at(area: Rect, open: Tab, x: u16) -> Option<Tab> {
    places(area, open).find(|(_, start, width)| x >= *start && x < start + width).map(|(tab, ..)| tab)
}

/// Returns the width of what is looked for, which is shown at the right end.
pub(crate) fn find_width(area: Rect) -> u16 {
    (area.width / 4).clamp(8, 30)
}

/// The tab bar: the titles of the tabs on a rule, the name of the selected torrent at the right.
pub(crate) struct TabBar<'a> {
    pub open: Tab,
    /// Whether the pane below has the focus.
    pub focused: bool,
    pub name: Option<&'a str>,
    pub theme: &'a Theme,
}

impl Widget for TabBar<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let theme = self.theme;
        let mut titles = vec![Span::styled(theme.glyphs.rule.repeat(2), theme.faint)];
        let mut end = area.x;
        for (tab, x, width) in places(area, self.open) {
            let number = tab as usize + 1;
            let title = if width > 3 { format!("{number} {}", tab.title()) } else { number.to_string() };
            let open = tab == self.open;
            let style = match (open, self.focused) {
                (true, true) => theme.accent.patch(Style::new().add_modifier(Modifier::BOLD)),
                (true, false) => theme.strong,
                (false, _) => theme.dim,
            };
            titles.push(Span::styled(if open { format!("[{title}]") } else { format!(" {title} ") }, style));
            end = x + width;
        }
        let mut bar = rule(theme).title_top(Line::from(titles));
        if let Some(name) = self.name.filter(|_| area.right() > end + 14) {
            let mut name = fit(Line::from(Span::styled(name, theme.dim)), area.right() - end - 6, theme);
            name.spans.insert(0, Span::raw(" "));
            name.push_span(Span::raw(" "));
            name.push_span(Span::styled(theme.glyphs.rule, theme.faint));
            bar = bar.title_top(name.right_aligned());
        }
        bar.render(area, buf);
    }
}
