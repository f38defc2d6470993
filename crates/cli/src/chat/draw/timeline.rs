//! The messages of a conversation.

use fireside_client_core::view::{Body, MessageState, TimelineRow};
use fireside_protocol::UserId;
use ratatui::{
    Frame,
    layout::Rect,
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::Paragraph,
};
use unicode_width::UnicodeWidthStr;

use super::{ACCENT, DIM, NAME_COLOURS, content};
use crate::chat::{
    app::{App, Geometry, role_name},
    clock::LocalClock,
    wrap::{cut, safe_line, wrap},
};

struct Laid<'a> {
    line: Line<'a>,
    /// Row and line in it.
    at: (u64, usize),
}

pub(super) fn draw_timeline(frame: &mut Frame<'_>, app: &mut App, clock: &LocalClock, area: Rect) {
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
        app.geometry = Geometry {
            height,
            ..Geometry::default()
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
    matches!(
        row.body,
        Body::Text(_) | Body::Content(_) | Body::Recalled | Body::Expired | Body::Unknown
    )
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

/// Who reacted, in one line under the message; those that find no place are counted.
fn reaction_line<'a>(row: &TimelineRow, room: usize) -> Option<Line<'a>> {
    let reactions = row.reactions.as_ref()?;
    let mut spans = vec![Span::raw("   ")];
    let mut used = 0;
    for (index, one) in reactions.iter().enumerate() {
        let text = format!("{} {}", cut(&safe_line(&one.key), 12), one.users.len());
        if used + text.width() + 6 > room {
            let left = reactions.len() - index;
            spans.push(Span::styled(format!("+{left}"), DIM));
            break;
        }
        used += text.width() + 2;
        let style = if one.mine {
            Style::new().add_modifier(Modifier::BOLD)
        } else {
            DIM
        };
        spans.push(Span::styled(text, style));
        spans.push(Span::raw("  "));
    }
    Some(Line::from(spans))
}

fn message_lines<'a>(row: &TimelineRow, width: usize) -> Vec<Line<'a>> {
    let (mark, mark_style) = mark(&row.state);
    let (text, style) = match &row.body {
        Body::Text(text) => (text.to_string(), Style::new()),
        Body::Content(content) => {
            let text = content::text(content, row.details.as_deref());
            (text, Style::new())
        }
        Body::Recalled => (
            "message taken back".to_owned(),
            DIM.add_modifier(Modifier::ITALIC),
        ),
        Body::Expired => (
            "this message's time is over".to_owned(),
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
    let note = match (row.edited && !row.body.is_gone(), row.pinned) {
        (true, true) => " (edited, pinned)",
        (true, false) => " (edited)",
        (false, true) => " (pinned)",
        (false, false) => "",
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
    let mut lines = Vec::with_capacity(texts.len() + 2);
    let details = row.details.as_deref();
    if let Some(quote) = details.and_then(|details| details.reply.as_ref()) {
        let text = format!("   {}", content::quote(quote, room));
        lines.push(Line::styled(text, DIM));
    }
    if let Some(from) = details.and_then(|details| details.forwarded.as_ref()) {
        let text = format!("   ↪ forwarded, of {}", safe_line(from.user.as_str()));
        lines.push(Line::styled(text, DIM));
    }
    // A bar to the left of what names this user: a shape, and a colour besides.
    let mentioned = details.is_some_and(|details| details.mentioned);
    let margin = || {
        if mentioned {
            Span::styled(" ▌ ", Style::new().fg(Color::Yellow))
        } else {
            Span::raw("   ")
        }
    };
    for (index, text) in texts.into_iter().enumerate() {
        let mut spans = vec![margin()];
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
    if let Some(preview) = details.and_then(|details| details.preview.as_deref()) {
        let text = format!("   ▏ {}", content::preview(preview, room));
        lines.push(Line::styled(text, DIM));
    }
    lines.extend(reaction_line(row, room));
    if details.is_some_and(|details| details.thread.is_some()) {
        lines.push(Line::styled("   ↳ a thread · /threads", DIM));
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
        Body::ChannelMade(child) => {
            format!("{} made #{}", who(&row.sender), safe_line(&child.name))
        }
        Body::Joined(user) => format!("{} joined", who(user)),
        Body::Left(user) => format!("{} left", who(user)),
        Body::Removed(user) => format!("{} removed {}", who(&row.sender), who(user)),
        Body::Role(user, role) => format!(
            "{} made {} {}",
            who(&row.sender),
            who(user),
            role_name(Some(*role))
        ),
        Body::Settings(change) => match &change.name {
            Some(name) => format!("{} named it {}", who(&row.sender), safe_line(name)),
            None => format!("{} changed the settings", who(&row.sender)),
        },
        Body::Dissolved => "it is over".to_owned(),
        Body::Muted(user, 0) => format!("{} lets {} write again", who(&row.sender), who(user)),
        Body::Muted(user, _) => format!("{} muted {}", who(&row.sender), who(user)),
        Body::Banned(user, _) => format!("{} banned {}", who(&row.sender), who(user)),
        Body::MemberSet(user, change) => match change.name.as_deref() {
            Some("") => format!("{} has no other name here", who(user)),
            Some(name) => format!("{} is {} here", who(user), safe_line(name)),
            None => format!("{} changed", who(user)),
        },
        Body::Answer(answer) => format!("{} {}", who(&row.sender), content::answer(answer)),
        Body::Hole => "⋯ messages between are being loaded ⋯".to_owned(),
        Body::Text(_) | Body::Content(_) | Body::Recalled | Body::Expired | Body::Unknown => {
            String::new()
        }
    };
    (text, DIM)
}
