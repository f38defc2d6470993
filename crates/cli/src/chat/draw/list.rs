//! The conversation list.

use fireside_client_core::view::ConversationRow;
use fireside_protocol::ConversationKind;
use ratatui::{
    Frame,
    layout::Rect,
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Borders, Paragraph},
};
use unicode_width::UnicodeWidthStr;

use super::{ACCENT, DIM};
use crate::chat::{
    app::App,
    clock::LocalClock,
    wrap::{fit, safe_line, wrap},
};

pub(super) fn draw_list(
    frame: &mut Frame<'_>,
    app: &App,
    clock: &LocalClock,
    area: Rect,
    bordered: bool,
) {
    let mut inner = area;
    if bordered {
        let block = Block::new().borders(Borders::RIGHT).border_style(DIM);
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
    let personal = &row.personal;
    let quiet = personal.muted || personal.archived;
    let unread = match (row.unread, row.mentions) {
        (0, _) if personal.marked_unread => " • ".to_owned(),
        (0, _) => String::new(),
        (count, _) if count > fireside_protocol::limits::UNREAD_COUNT_MAX => " 999+ ".to_owned(),
        (count, 0) => format!(" {count} "),
        (count, _) => format!(" @{count} "),
    };
    let mark = if selected { "▎" } else { " " };
    let sign = match row.kind {
        ConversationKind::Direct => "",
        ConversationKind::Community => "◆ ",
        ConversationKind::Thread => "↳ ",
        _ => "# ",
    };
    let top = if personal.pinned { "▲ " } else { "" };
    let time = if tall {
        clock.short(row.at)
    } else {
        String::new()
    };
    let right = unread.width() + time.width() + 1;
    let name = fit(
        &format!("{top}{sign}{}", app.title_of(row.conversation)),
        width.saturating_sub(right + 1),
    );
    let mut name_style = base;
    if row.unread > 0 {
        name_style = name_style.add_modifier(Modifier::BOLD);
    }
    if row.role.is_none() || personal.archived {
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
                .bg(if quiet { Color::DarkGray } else { Color::Green })
                .fg(Color::Black)
                .add_modifier(Modifier::BOLD),
        ));
    }
    let mut lines = vec![Line::from(spans)];
    if tall {
        let typing = app.typing_in(row.conversation);
        let text = match (typing.first(), &row.last_sender) {
            (Some(user), _) => format!("{user} is typing…"),
            (None, _) if !selected && row.draft.is_some() => {
                let draft = row.draft.as_ref().map_or("", |draft| &draft.text);
                format!("draft: {}", safe_line(draft))
            }
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
