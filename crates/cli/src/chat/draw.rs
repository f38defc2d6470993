//! How it looks. Everything is measured in cells; nothing from others is shown as it came.

use std::time::Duration;

use fireside_client_core::{
    ConnectionState,
    view::{Body, ConversationRow, MessageState, TimelineRow},
};
use fireside_protocol::{ConversationKind, UserId};
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

// ---- the list

fn draw_list(frame: &mut Frame<'_>, app: &App, clock: &LocalClock, area: Rect, bordered: bool) {
    let mut inner = area;
    if bordered {
        let block = Block::new()
            .borders(ratatui::widgets::Borders::RIGHT)
            .border_style(DIM);
        inner = block.inner(area);
        frame.render_widget(block, area);
    }
    let width = usize::from(inner.width);
    let mut lines = vec![Line::styled(
        fit(" Conversations", width),
        Style::new().add_modifier(Modifier::BOLD),
    )];
    for (_, by, name) in &app.invitations {
        let text = format!(" ✉ {by} → {}", safe_line(name));
        lines.push(Line::styled(
            fit(&text, width),
            Style::new().fg(Color::Green),
        ));
    }
    if app.list.is_empty() && app.invitations.is_empty() {
        lines.push(Line::raw(""));
        for text in wrap(
            "Nobody yet. Write to somebody: /w name hello",
            width.saturating_sub(2),
        ) {
            lines.push(Line::styled(format!(" {text}"), DIM));
        }
    }
    // Two lines each where there is room.
    let room = usize::from(inner.height).saturating_sub(lines.len());
    let tall = app.list.len() * 2 <= room || room >= 16;
    let each = if tall { 2 } else { 1 };
    let shown = (room / each).max(1);
    let selected = app
        .list
        .iter()
        .position(|row| Some(row.conversation) == app.selected)
        .unwrap_or(0);
    let first = selected.saturating_sub(shown.saturating_sub(1));
    for row in app.list.iter().skip(first).take(shown) {
        lines.extend(list_row(app, clock, row, width, tall));
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

fn list_row<'a>(
    app: &App,
    clock: &LocalClock,
    row: &ConversationRow,
    width: usize,
    tall: bool,
) -> Vec<Line<'a>> {
    let selected = Some(row.conversation) == app.selected;
    let base = if selected {
        Style::new().bg(Color::Rgb(40, 44, 60))
    } else {
        Style::new()
    };
    let unread = match (row.unread, row.mentions) {
        (0, _) => String::new(),
        (count, _) if count > fireside_protocol::limits::UNREAD_COUNT_MAX => " 999+ ".to_owned(),
        (count, 0) => format!(" {count} "),
        (count, _) => format!(" @{count} "),
    };
    let mark = if selected { "▎" } else { " " };
    let sign = match row.kind {
        ConversationKind::Direct => "",
        _ => "# ",
    };
    let time = if tall {
        clock.short(row.at)
    } else {
        String::new()
    };
    let right = unread.width() + time.width() + 1;
    let name = fit(
        &format!("{sign}{}", app.title_of(row.conversation)),
        width.saturating_sub(right + 1),
    );
    let mut name_style = base;
    if row.unread > 0 {
        name_style = name_style.add_modifier(Modifier::BOLD);
    }
    if row.role.is_none() {
        name_style = name_style.patch(DIM);
    }
    let mut spans = vec![
        Span::styled(mark, base.fg(ACCENT)),
        Span::styled(name, name_style),
        Span::styled(time, base.patch(DIM)),
        Span::styled(" ", base),
    ];
    if !unread.is_empty() {
        spans.push(Span::styled(
            unread,
            Style::new()
                .bg(Color::Green)
                .fg(Color::Black)
                .add_modifier(Modifier::BOLD),
        ));
    }
    let mut lines = vec![Line::from(spans)];
    if tall {
        let typing = app.typing_in(row.conversation);
        let text = match (typing.first(), &row.last_sender) {
            (Some(user), _) => format!("{user} is typing…"),
            (None, Some(sender)) if *sender == app.me => {
                format!("you: {}", safe_line(&row.preview))
            }
            (None, Some(sender)) if row.kind != ConversationKind::Direct => {
                format!("{sender}: {}", safe_line(&row.preview))
            }
            (None, _) => safe_line(&row.preview),
        };
        lines.push(Line::from(vec![
            Span::styled(mark, base.fg(ACCENT)),
            Span::styled(fit(&text, width.saturating_sub(1)), base.patch(DIM)),
        ]));
    }
    lines
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

struct Laid<'a> {
    line: Line<'a>,
    /// Row and line in it.
    at: (u64, usize),
}

fn draw_timeline(frame: &mut Frame<'_>, app: &mut App, clock: &LocalClock, area: Rect) {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let lines = lay_out(app, clock, width);
    let Some(timeline) = app
        .selected
        .and_then(|conversation| app.timelines.get_mut(&conversation))
    else {
        let text = "Welcome. Write to somebody with  /w name hello  or make a group with  /group name users…";
        draw_empty(frame, area, text);
        return;
    };
    if lines.is_empty() {
        let text = if timeline.loaded {
            "No messages yet. Say hello!"
        } else {
            "Loading…"
        };
        draw_empty(frame, area, text);
        app.geometry = super::app::Geometry {
            height,
            ..super::app::Geometry::default()
        };
        return;
    }
    let end = lines.len() - 1;
    let bottom = match timeline.anchor {
        None => end,
        // The row is gone (trimmed from the window): the nearest after it.
        Some(anchor) => lines
            .iter()
            .rposition(|laid| laid.at == anchor)
            .or_else(|| lines.iter().position(|laid| laid.at.0 == anchor.0))
            .unwrap_or(end),
    };
    if bottom == end {
        timeline.anchor = None;
    }
    let first = (bottom + 1).saturating_sub(height);
    app.geometry.height = height;
    app.geometry.bottom = bottom;
    app.geometry.lines = lines.iter().map(|laid| laid.at).collect();
    let shown: Vec<Line<'_>> = lines
        .into_iter()
        .skip(first)
        .take(bottom + 1 - first)
        .map(|laid| laid.line)
        .collect();
    // The newest message stands at the bottom, as in every chat.
    let pad = height.saturating_sub(shown.len()) as u16;
    let place = Rect {
        y: area.y + pad,
        height: area.height - pad,
        ..area
    };
    frame.render_widget(Paragraph::new(shown), place);
    if bottom < end {
        let text = format!(" ↓ {} more (Esc) ", end - bottom);
        let cells = text.width() as u16;
        if cells < area.width {
            let place = Rect {
                x: area.right() - cells,
                y: area.bottom() - 1,
                width: cells,
                height: 1,
            };
            frame.render_widget(
                Line::styled(text, Style::new().bg(ACCENT).fg(Color::Black)),
                place,
            );
        }
    }
}

fn draw_empty(frame: &mut Frame<'_>, area: Rect, text: &str) {
    let lines: Vec<Line<'_>> = wrap(text, usize::from(area.width).saturating_sub(4))
        .into_iter()
        .map(|line| Line::styled(line, DIM).centered())
        .collect();
    let top = area.height.saturating_sub(lines.len() as u16) / 2;
    let place = Rect {
        y: area.y + top,
        height: area.height - top,
        ..area
    };
    frame.render_widget(Paragraph::new(lines), place);
}

fn lay_out<'a>(app: &App, clock: &LocalClock, width: usize) -> Vec<Laid<'a>> {
    let Some(timeline) = app.current() else {
        return Vec::new();
    };
    let mut lines: Vec<Laid<'a>> = Vec::new();
    let mut add = |row: u64, line: Line<'a>| {
        let index = lines
            .iter()
            .rev()
            .take_while(|laid| laid.at.0 == row)
            .count();
        lines.push(Laid {
            line,
            at: (row, index),
        });
    };
    let mut before: Option<&TimelineRow> = None;
    let mut new_shown = false;
    for row in &timeline.rows {
        let day = clock.day(row.at);
        if before.is_none_or(|before| clock.day(before.at) != day) && row.body != Body::Hole {
            add(row.row, rule(&day, width, DIM));
        }
        let is_new = timeline
            .unread_above
            .zip(row.sequence)
            .is_some_and(|(above, sequence)| sequence > above);
        let begins_new = is_new && !new_shown && row.sender != app.me;
        if begins_new {
            new_shown = true;
            add(row.row, rule("new", width, Style::new().fg(Color::Green)));
        }
        if is_bubble(row) {
            let joined = !begins_new
                && before.is_some_and(|before| {
                    is_bubble(before)
                        && before.sender == row.sender
                        && row.at.saturating_sub(before.at) < 300_000
                        && clock.day(before.at) == day
                });
            if !joined {
                add(
                    row.row,
                    Line::from(vec![
                        Span::raw(" "),
                        Span::styled(
                            name_of(app, &row.sender, width.saturating_sub(10)),
                            name_style(app, &row.sender),
                        ),
                        Span::raw("  "),
                        Span::styled(clock.time(row.at), DIM),
                    ]),
                );
            }
            for line in message_lines(row, width) {
                add(row.row, line);
            }
        } else {
            let (text, style) = system_text(app, row);
            for line in wrap(&text, width.saturating_sub(4)) {
                add(row.row, Line::styled(line, style).centered());
            }
        }
        before = Some(row);
    }
    lines
}

const fn is_bubble(row: &TimelineRow) -> bool {
    matches!(row.body, Body::Text(_) | Body::Recalled | Body::Unknown)
}

fn rule<'a>(text: &str, width: usize, style: Style) -> Line<'a> {
    let text = format!(" {text} ");
    let left = width.saturating_sub(text.width()) / 2;
    let right = width.saturating_sub(text.width() + left);
    Line::styled(
        format!("{}{text}{}", "─".repeat(left), "─".repeat(right)),
        style,
    )
}

fn name_of(app: &App, user: &UserId, width: usize) -> String {
    if *user == app.me {
        "you".to_owned()
    } else {
        cut(&safe_line(user.as_str()), width)
    }
}

fn name_style(app: &App, user: &UserId) -> Style {
    let style = Style::new().add_modifier(Modifier::BOLD);
    if *user == app.me {
        return style.fg(Color::White);
    }
    let hash = user.as_str().bytes().fold(5_381_usize, |hash, byte| {
        hash.wrapping_mul(33) ^ usize::from(byte)
    });
    NAME_COLOURS
        .get(hash % NAME_COLOURS.len())
        .map_or(style, |colour| style.fg(*colour))
}

fn message_lines<'a>(row: &TimelineRow, width: usize) -> Vec<Line<'a>> {
    let (mark, mark_style) = mark(&row.state);
    let (text, style) = match &row.body {
        Body::Text(text) => (text.to_string(), Style::new()),
        Body::Recalled => (
            "message taken back".to_owned(),
            DIM.add_modifier(Modifier::ITALIC),
        ),
        _ => (
            "a message of a kind this program does not know".to_owned(),
            DIM.add_modifier(Modifier::ITALIC),
        ),
    };
    let style = match row.state {
        MessageState::Sending => style.patch(DIM),
        MessageState::Failed(_) => style.fg(Color::Red),
        _ => style,
    };
    // Three cells to the left, the mark's to the right.
    let room = width.saturating_sub(3 + 4);
    let mut texts = wrap(&text, room);
    let note = if row.edited && row.body != Body::Recalled {
        " (edited)"
    } else {
        ""
    };
    let count = texts.len();
    if !note.is_empty()
        && texts
            .last()
            .is_some_and(|last| last.width() + note.width() > room)
    {
        texts.push(String::new());
    }
    let last = texts.len().max(count) - 1;
    let mut lines = Vec::with_capacity(texts.len() + 1);
    for (index, text) in texts.into_iter().enumerate() {
        let mut spans = vec![Span::raw("   ")];
        let mut used = text.width();
        spans.push(Span::styled(text, style));
        if index == last {
            used += note.width();
            spans.push(Span::styled(note, DIM));
            if !mark.is_empty() {
                spans.push(Span::raw(
                    " ".repeat((room + 4).saturating_sub(used + mark.width() + 1)),
                ));
                spans.push(Span::styled(mark, mark_style));
            }
        }
        lines.push(Line::from(spans));
    }
    if let MessageState::Failed(code) = &row.state {
        for text in wrap(
            &format!("not sent: {} · /retry or /discard", code.text()),
            room,
        ) {
            lines.push(Line::styled(
                format!("   {text}"),
                Style::new().fg(Color::Red),
            ));
        }
    }
    lines
}

/// Shape and colour: the shape alone says it too.
const fn mark(state: &MessageState) -> (&'static str, Style) {
    match state {
        MessageState::Sending => ("…", DIM),
        MessageState::Sent => ("✓", DIM),
        MessageState::Delivered => ("✓✓", DIM),
        MessageState::Read => (
            "✓✓",
            Style::new()
                .fg(Color::LightCyan)
                .add_modifier(Modifier::BOLD),
        ),
        MessageState::Failed(_) => ("✗", Style::new().fg(Color::Red)),
        MessageState::Held => ("⏸", Style::new().fg(Color::Yellow)),
        MessageState::Received => ("", DIM),
    }
}

fn system_text(app: &App, row: &TimelineRow) -> (String, Style) {
    let who = |user: &UserId| {
        if *user == app.me {
            "you".to_owned()
        } else {
            user.to_string()
        }
    };
    let text = match &row.body {
        Body::Created(name) if name.is_empty() => "the conversation begins".to_owned(),
        Body::Created(name) => format!("{} made {}", who(&row.sender), safe_line(name)),
        Body::Joined(user) => format!("{} joined", who(user)),
        Body::Left(user) => format!("{} left", who(user)),
        Body::Removed(user) => format!("{} removed {}", who(&row.sender), who(user)),
        Body::Role(user, role) => format!(
            "{} made {} {}",
            who(&row.sender),
            who(user),
            role_name(Some(*role))
        ),
        Body::Hole => "⋯ messages between are being loaded ⋯".to_owned(),
        Body::Text(_) | Body::Recalled | Body::Unknown => String::new(),
    };
    (text, DIM)
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
        // On a narrow screen what just happened is more than what one knows.
        if width < used + 20 {
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
