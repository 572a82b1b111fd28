// The background tasks inside Claude Code: a band above the prompt, a pane beside the chat, an entry in the status
// line, a toast when a task of this session ends. Only for clients with mods (2.1.287 and later), and only looks:
// everything works without it, and all of it is gone when there is nothing to show.

import type { EngineInterface, Register } from 'claude-code'

import { EVERY_MS, look, unread } from './following'
import type { Following } from './following'
import { band, pane, status, toast } from './lines'
import type { Line } from './lines'
import { isHidden } from './place'

const PANE = 'smart-agents'
const TOAST_MS = 8000
const STYLES = { heading: { weight: 'bold' }, dim: { dimColor: true } } as const

type Panel = {
  file: Following
  /** Whether the file is being followed. */
  isOn: boolean
  /** Whether a look is under way: a slow disk must not make them pile up. */
  isLooking: boolean
  /** What the status line says. */
  status: string | undefined
}

export const register: Register = on => {
  const panel: Panel = { file: unread(), isOn: false, isLooking: false, status: undefined }

  on('session.start', async ($, e, next) => {
    if (e.surface !== null) await follow($, panel)
    return next(e)
  })

  // A desktop app or a phone comes to a session that began without anybody who draws.
  on('session.attach', async ($, e, next) => {
    await follow($, panel)
    return next(e)
  })

  // The command itself stands in commands/panel.md: where this does not answer, our hook for slash commands does.
  on('command.run', { command: 'smart-agents:panel' }, async ($, e, next) => {
    if ((await isHidden($)) || (await $.session.surfaces()).length === 0) return next(e)
    await follow($, panel)
    await $.ui.open({ id: PANE, title: 'Background tasks' })
    return { text: 'The background tasks are in the pane; ctrl+x x closes it.', isTextDisplayOnly: true }
  })

  on('ui.render', { component: 'AbovePrompt' }, ($, e, next) => {
    const lines = e.props.hasSurvey ? [] : band(panel.file.board, e.props.maxRows)
    if (lines.length === 0) return next(e)
    const { Box, Text } = $.ui.resolve(e)
    return (
      <Box flexDirection="column">
        {lines.map(line => (
          <Text wrap="truncate-end" {...styleOf(line)}>
            {line.text}
          </Text>
        ))}
      </Box>
    )
  })

  on('ui.render', { component: 'Pane', requestId: PANE }, async ($, e) => {
    const { Box, Text } = $.ui.resolve(e)
    const lines = pane(panel.file.board, await $.clock.now())
    return (
      <Box flexDirection="column">
        {lines.map(line => (
          <Text {...styleOf(line)}>{line.text}</Text>
        ))}
      </Box>
    )
  })
}

/** Begins to follow the file, once, unless nothing is to be shown here. */
async function follow($: EngineInterface, panel: Panel): Promise<void> {
  if ((await isHidden($)) || panel.isOn) return
  panel.isOn = true
  void refresh($, panel)
  $.clock.every(EVERY_MS, () => void refresh($, panel))
}

/** Looks once, and says and draws what is new. */
async function refresh($: EngineInterface, panel: Panel): Promise<void> {
  if (panel.isLooking) return
  panel.isLooking = true
  try {
    const { isChanged, endings } = await look($, panel.file)
    for (const ended of endings) $.ui.toast(toast(ended), { timeoutMs: TOAST_MS })
    if (!isChanged) return
    $.ui.invalidate('ui.render')
    const words = status(panel.file.board)
    if (words === panel.status) return
    panel.status = words
    $.ui.status(words)
  } catch (problem) {
    $.ui.log(`the board could not be read: ${String(problem)}`, { to: 'debug' }) // the next look may
  } finally {
    panel.isLooking = false
  }
}

function styleOf(line: Line): { weight?: 'bold'; dimColor?: boolean } {
  return line.look === undefined ? {} : STYLES[line.look]
}
