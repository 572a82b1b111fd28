// Follows the one small file that the supervisor keeps, `supervisor/status.json`.
//
// Reads and never writes; starts no process. A look costs one stat while nothing has changed. The file only
// describes: a task whose job file has left its directory since is not shown, so that nothing "runs" for ever
// after the supervisor was stopped.
//
// Functions of a record rather than a class: the client follows `$` into functions at the top of a file only.

import type { EngineInterface } from 'claude-code'

import { arranged, isOf, NOTHING, parse } from './board'
import type { Board, Task, Viewer } from './board'
import { statusFile } from './place'

export const EVERY_MS = 1500
const LARGEST = 1024 * 1024 // bytes; the file has a tenth of that on a busy machine
const PLACE_EVERY = 20 // looks after which the place is asked for again: a setting may have moved it
const CHECK_EVERY = 7 // looks at an unchanged file after which the directories are asked

/** What is known of the file, from look to look. */
export type Following = {
  /** What is to be shown now. */
  board: Board
  /** What the file says, the latest version of it that could be read. */
  whole: Board
  path: string
  /** Tells one version of the file from the next; '' when there is none. */
  stamp: string
  /** Looks at this version after the first. */
  unchanged: number
  looks: number
  /** What tells one drawing from the next. */
  drawn: string
  /** Tasks that are no longer where the file says. */
  gone: Set<string>
  /** Who looks, with all sessions that this client has had: /clear begins another. */
  viewer: Viewer & { readonly sessions: Set<string> }
  /** The endings that are no news; undefined before the first look at a place. */
  told: Set<string> | undefined
}

/** What a look found: whether there is something else to show, and this session's tasks that have ended since. */
export type Found = { readonly isChanged: boolean; readonly endings: readonly Task[] }

/** Before the first look. */
export function unread(): Following {
  return {
    board: NOTHING,
    whole: NOTHING,
    path: '',
    stamp: 'never looked',
    unchanged: 0,
    looks: 0,
    drawn: '',
    gone: new Set(),
    viewer: { sessions: new Set(), root: '' },
    told: undefined,
  }
}

/** Looks once and brings `file` up to date. */
export async function look($: EngineInterface, file: Following): Promise<Found> {
  if (file.looks % PLACE_EVERY === 0) moveTo(file, await statusFile($))
  file.looks += 1
  await read($, file)
  if (file.unchanged === 0) {
    file.viewer = { sessions: file.viewer.sessions.add(await $.session.id()), root: await $.session.root() }
  }
  if (file.unchanged % CHECK_EVERY === CHECK_EVERY - 1) await check($, file)
  const now = await $.clock.now()
  file.board = arranged(file.whole, file.viewer, file.gone, now)
  const drawn = drawing(file, now)
  const isChanged = drawn !== file.drawn
  file.drawn = drawn
  return { isChanged, endings: news(file) }
}

function moveTo(file: Following, path: string): void {
  if (path === file.path) return
  file.path = path
  file.told = undefined
}

/** Reads the file if it is another one than before. */
async function read($: EngineInterface, file: Following): Promise<void> {
  const found = await $.fs.stat(file.path).catch(() => undefined)
  const fits = found !== undefined && found.kind === 'file' && !found.isLink && found.size <= LARGEST
  const stamp = fits ? `${file.path} ${found.mtimeMs} ${found.size}` : ''
  file.unchanged += 1
  if (stamp === file.stamp) return
  const text = fits ? await $.fs.read(file.path).catch(() => undefined) : ''
  if (text === undefined) return // taken away in between: the next look sees what came
  file.stamp = stamp
  file.unchanged = 0
  file.gone = new Set()
  file.whole = parse(text)
}

/** Notes which tasks have left the state that a file says which nobody has written for a while. */
async function check($: EngineInterface, file: Following): Promise<void> {
  const spool = file.path.slice(0, -'/supervisor/status.json'.length)
  for (const one of [...file.whole.running, ...file.whole.waiting]) {
    const isThere = await $.fs.exists(`${spool}/${one.state}/${one.id}.json`).catch(() => true)
    if (!isThere) file.gone.add(one.id)
  }
}

/** Relative times are in minutes, so a new minute is another drawing, but for an empty board. */
function drawing(file: Following, now: number): string {
  const shown = [...file.board.running, ...file.board.waiting, ...file.board.ended].map(one => one.id)
  return shown.length === 0 ? '' : [file.stamp, Math.floor(now / 60_000), ...shown].join(' ')
}

/** The endings of the viewer's tasks that the looks before did not see; those of the first look are no news. */
function news(file: Following): Task[] {
  const key = (one: Task): string => `${one.id} ${one.endedAt}`
  const { told, viewer } = file
  file.told = new Set([...(told ?? []), ...file.whole.ended.map(key)])
  return told === undefined ? [] : file.board.ended.filter(one => isOf(one, viewer) && !told.has(key(one)))
}
