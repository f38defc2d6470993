//! How it looks. Everything is measured in cells; nothing from others is shown as it came.

use std::time::Duration;

use fireside_client_core::ConnectionState;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Position, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, BorderType, Clear, Paragraph},
};
use unicode_width::UnicodeWidthStr;

use super::{
    app::{App, Tone, kind_name, role_name},
    clock::LocalClock,
    wrap::{cut, fit, safe_line, wrap},
};

mod content;
mod list;
mod timeline;

use list::draw_list;
use timeline::draw_timeline;

/// From this width on the list stands beside the messages.
pub(crate) const TWO_PANES_WIDTH: u16 = 64;
const LIST_WIDTH_MAX: u16 = 34;
const DIM: Style = Style::new().fg(Color::DarkGray);
const ACCENT: Color = Color::Cyan;
/// Told apart by hue and by name; none of them is red or green, which mean something.
const NAME_COLOURS: [Color; 7] = [
    Color::Cyan,
    Color::Magenta,
    Color::Yellow,
    Color::Blue,
    Color::LightMagenta,
    Color::LightBlue,
    Color::LightYellow,
];

/// Draws everything.
pub(crate) fn draw(frame: &mut Frame<'_>, app: &mut App, clock: &LocalClock) {
    let area = frame.area();
    if area.width < 10 || area.height < 4 {
        frame.render_widget(Paragraph::new("too small"), area);
        return;
    }
    let [main, status] = Layout::vertical([Constraint::Min(3), Constraint::Length(1)]).areas(area);
    let wide = area.width >= TWO_PANES_WIDTH;
    let mut messages = main;
    if wide {
        let list_width = (area.width * 3 / 10).clamp(20, LIST_WIDTH_MAX);
        let [left, right] =
            Layout::horizontal([Constraint::Length(list_width), Constraint::Min(20)]).areas(main);
        draw_list(frame, app, clock, left, true);
        messages = right;
    }
    if app.show_list && !wide {
        draw_list(frame, app, clock, main, false);
    } else {
        draw_conversation(frame, app, clock, messages);
    }
    draw_status(frame, app, status);
    draw_popup(frame, app, area);
}

// ---- one conversation

fn draw_conversation(frame: &mut Frame<'_>, app: &mut App, clock: &LocalClock, area: Rect) {
    let [head, body, typing, rule, input] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(area);
    draw_head(frame, app, head);
    draw_timeline(frame, app, clock, body);
    if let Some(conversation) = app.selected {
        let names: Vec<String> = app
            .typing_in(conversation)
            .iter()
            .take(3)
            .map(ToString::to_string)
            .collect();
        let text = match names.as_slice() {
            [] => String::new(),
            [one] => format!(" {one} is typing…"),
            many => format!(" {} are typing…", many.join(", ")),
        };
        frame.render_widget(
            Line::styled(
                cut(&text, usize::from(typing.width)),
                DIM.add_modifier(Modifier::ITALIC),
            ),
            typing,
        );
    }
    frame.render_widget(Line::styled("─".repeat(usize::from(rule.width)), DIM), rule);
    draw_input(frame, app, input);
}

fn draw_head(frame: &mut Frame<'_>, app: &App, area: Rect) {
    let width = usize::from(area.width);
    let Some(conversation) = app.selected else {
        frame.render_widget(
            Line::styled(
                fit(" Fireside", width),
                Style::new().add_modifier(Modifier::BOLD),
            ),
            area,
        );
        return;
    };
    let title = format!(" {} ", app.title_of(conversation));
    let about = match app.row(conversation) {
        Some(row) if row.role.is_none() => role_name(None).to_owned(),
        Some(row) => kind_name(row.kind).to_owned(),
        None => "new".to_owned(),
    };
    let mut spans = vec![Span::styled(
        cut(&title, width),
        Style::new().fg(ACCENT).add_modifier(Modifier::BOLD),
    )];
    if title.width() + about.width() < width {
        spans.push(Span::styled(about, DIM));
    }
    // Where there is no list beside it, the head says that others wait.
    let others: u32 = app
        .list
        .iter()
        .filter(|row| Some(row.conversation) != app.selected)
        .filter(|row| !row.personal.muted && !row.personal.archived)
        .map(|row| row.unread.min(999))
        .sum();
    if others > 0 && frame.area().width < TWO_PANES_WIDTH {
        let text = format!(" {others} unread (Ctrl-L) ");
        let used: usize = spans.iter().map(|span| span.content.width()).sum();
        if used + text.width() < width {
            spans.push(Span::raw(" ".repeat(width - used - text.width())));
            spans.push(Span::styled(text, Style::new().fg(Color::Green)));
        }
    }
    frame.render_widget(Line::from(spans), area);
}

// ---- the rest

fn draw_input(frame: &mut Frame<'_>, app: &App, area: Rect) {
    let width = usize::from(area.width).saturating_sub(3);
    let (text, column) = app.input.view(width);
    let mut line = vec![Span::styled(" › ", Style::new().fg(ACCENT))];
    if app.input.is_empty() {
        let hint = if app.selected.is_some() {
            "write a message, /help for more"
        } else {
            "/w name hello"
        };
        line.push(Span::styled(cut(hint, width), DIM));
    } else {
        let style = if text.starts_with('/') {
            Style::new().fg(Color::Yellow)
        } else {
            Style::new()
        };
        line.push(Span::styled(text, style));
    }
    frame.render_widget(Line::from(line), area);
    if app.popup.is_none() {
        frame.set_cursor_position(Position::new(area.x + 3 + column as u16, area.y));
    }
}

fn draw_status(frame: &mut Frame<'_>, app: &App, area: Rect) {
    let width = usize::from(area.width);
    let base = Style::new().bg(Color::Rgb(28, 30, 40));
    let (sign, colour, text) = connection_text(app);
    let mut left = vec![
        Span::styled(format!(" {sign} "), base.fg(colour)),
        Span::styled(text, base),
    ];
    if let ConnectionState::Connected = app.state
        && let Some(rtt) = app.rtt_ms
    {
        left.push(Span::styled(format!(" {rtt} ms"), base.patch(DIM)));
    }
    let unsent = app.unsent();
    if unsent > 0 {
        left.push(Span::styled(
            format!(" · {unsent} to send"),
            base.fg(Color::Yellow),
        ));
    }
    if app.memory_mode.is_some() {
        left.push(Span::styled(" · not kept on disk", base.fg(Color::Yellow)));
    }
    let mut used: usize = left.iter().map(|span| span.content.width()).sum();
    if let Some((text, tone)) = app.notice() {
        let colour = match tone {
            Tone::Plain => Color::White,
            Tone::Good => Color::Green,
            Tone::Bad => Color::LightRed,
        };
        // What just happened is more than what one knows: it is cut last.
        if width < used + 3 + text.width() {
            left.truncate(1);
            used = left.iter().map(|span| span.content.width()).sum();
        }
        let room = width.saturating_sub(used + 3);
        let text = format!(" │ {}", cut(text, room));
        used += text.width();
        left.push(Span::styled(text, base.fg(colour)));
    }
    let right = format!("{} · /help ", cut(&safe_line(app.me.as_str()), 20));
    if used + right.width() < width {
        left.push(Span::styled(" ".repeat(width - used - right.width()), base));
        left.push(Span::styled(right, base.patch(DIM)));
    } else {
        left.push(Span::styled(" ".repeat(width.saturating_sub(used)), base));
    }
    frame.render_widget(Line::from(left), area);
}

fn connection_text(app: &App) -> (&'static str, Color, String) {
    match &app.state {
        ConnectionState::Offline => ("○", Color::DarkGray, "offline".to_owned()),
        ConnectionState::Connecting => ("◌", Color::Yellow, "connecting…".to_owned()),
        ConnectionState::Connected => ("●", Color::Green, "connected".to_owned()),
        ConnectionState::Reconnecting {
            attempt,
            next_in_ms,
        } => {
            let left = Duration::from_millis(*next_in_ms)
                .saturating_sub(app.now.saturating_duration_since(app.state_since));
            let when = if left.is_zero() {
                "now".to_owned()
            } else {
                format!("in {} s", left.as_secs() + 1)
            };
            (
                "↻",
                Color::Yellow,
                format!("reconnecting, try {attempt} {when}"),
            )
        }
        ConnectionState::Refused { code, .. } => {
            ("✗", Color::Red, format!("refused ({})", code.key()))
        }
    }
}

fn draw_popup(frame: &mut Frame<'_>, app: &App, area: Rect) {
    let Some(popup) = &app.popup else { return };
    let longest = popup
        .lines
        .iter()
        .map(|line| line.width())
        .chain([popup.title.width() + 4])
        .max()
        .unwrap_or(0);
    let width = (longest as u16 + 4)
        .min(area.width.saturating_sub(2))
        .max(12.min(area.width));
    let inner_width = usize::from(width.saturating_sub(4));
    let lines: Vec<Line<'_>> = popup
        .lines
        .iter()
        .flat_map(|line| wrap(line, inner_width))
        .map(|line| Line::raw(format!(" {line}")))
        .collect();
    let height = (lines.len() as u16 + 2)
        .min(area.height.saturating_sub(1))
        .max(3);
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height.min(area.height)) / 2,
        width,
        height: height.min(area.height),
    };
    let last = (lines.len() as u16).saturating_sub(height.saturating_sub(2));
    let scroll = (popup.scroll as u16).min(last);
    let more = if last > scroll {
        " ↓ PageDown · Esc closes "
    } else {
        " Esc closes "
    };
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(Style::new().fg(ACCENT))
        .title(Span::styled(
            format!(" {} ", popup.title),
            Style::new().add_modifier(Modifier::BOLD),
        ))
        .title_bottom(Line::styled(more, DIM).right_aligned());
    frame.render_widget(Clear, place);
    frame.render_widget(
        Paragraph::new(lines).block(block).scroll((scroll, 0)),
        place,
    );
}
