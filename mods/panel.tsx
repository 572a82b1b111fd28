// The background tasks inside Claude Code: a band above the prompt, a pane beside the chat, an entry in the status
// line, a toast when a task of this session ends. Only for clients with mods (2.1.287 and later), and only looks:
// everything works without it, and all of it is gone when there is nothing to show.
//
// It reads and never writes, and starts no process; a look costs one stat while nothing has changed. Every use of `$`
// stands in this file, as the first clients with mods follow it into no other; what decides is in the others.

import type { EngineInterface, Register } from 'claude-code'

import { arrange, asksForPlace, doubtful, moveTo, pathOf, take, unread, versionOf } from './following'
import type { Following, Found } from './following'
import { band, pane, status, toast } from './lines'
import type { Line } from './lines'
import { isHidden, placeFile, spoolOf } from './place'
import type { Surroundings } from './place'

const EVERY_MS = 1500
const PANE = 'smart-agents'
const TOAST_MS = 8000
// `bold` and not the newer `weight`, with which the first clients with mods draw nothing of the pane.
const STYLES = { heading: { bold: true }, dim: { dimColor: true } } as const

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

  // The command stands in commands/panel.md: where this does not answer, our command hook of the same event does. Not
  // `command.run`: with any hook on that, the client puts every command that a hook has answered back into the input box.
  on('classic.UserPromptExpansion', { command_name: 'smart-agents:panel' }, async ($, e, next) => {
    if (isHidden(await surroundings($)) || (await $.session.surfaces()).length === 0) return next(e)
    await follow($, panel)
    const opened = await $.ui.open({ id: PANE, title: 'Background tasks' })
    if (!opened.isPlaced) {
      await $.ui.close({ id: PANE }) // the terminal is too narrow: the list now, and no pane by surprise later
      return next(e)
    }
    return { block: 'The background tasks are in the pane; ctrl+x x closes it.', suppressOriginalPrompt: true }
  })

  on('ui.render', { component: 'AbovePrompt' }, ($, e, next) => {
    const lines = e.props.hasSurvey ? [] : band(panel.file.board, e.props.maxRows, e.props.bodyColumns)
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
  if (isHidden(await surroundings($)) || panel.isOn) return
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

/** Looks once and brings `file` up to date. */
async function look($: EngineInterface, file: Following): Promise<Found> {
  if (asksForPlace(file)) {
    const env = await surroundings($)
    moveTo(file, spoolOf(env, await $.fs.read(placeFile(env)).catch(() => '')))
  }
  const path = pathOf(file)
  const version = versionOf(file, await $.fs.stat(path).catch(() => undefined))
  if (version !== file.stamp) {
    const text = version === '' ? '' : await $.fs.read(path).catch(() => undefined)
    // Taken away in between: the next look sees what came.
    if (text !== undefined) take(file, version, text, await $.session.id(), await $.session.root())
  }
  for (const one of doubtful(file)) {
    const isThere = await $.fs.exists(`${file.spool}/${one.state}/${one.id}.json`).catch(() => true)
    if (!isThere) file.gone.add(one.id)
  }
  return arrange(file, await $.clock.now())
}

async function surroundings($: EngineInterface): Promise<Surroundings> {
  return {
    SA_SPOOL_DIR: await $.env.get('SA_SPOOL_DIR'),
    SA_CONFIG: await $.env.get('SA_CONFIG'),
    SA_DISABLE: await $.env.get('SA_DISABLE'),
    SA_TASK_ID: await $.env.get('SA_TASK_ID'),
    HOME: await $.env.get('HOME'),
    XDG_CONFIG_HOME: await $.env.get('XDG_CONFIG_HOME'),
    XDG_STATE_HOME: await $.env.get('XDG_STATE_HOME'),
  }
}

function styleOf(line: Line): { bold?: boolean; dimColor?: boolean } {
  return line.look === undefined ? {} : STYLES[line.look]
}
