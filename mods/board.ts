// The board of `supervisor/status.json`: every field checked, every word cleaned, in the order in which this
// session wants to see it. What does not fit is left out; nothing in the file can make this throw. Pure.

import { line } from './cleaning'

export type Step = { readonly name: string; readonly state: 'done' | 'doing' | 'todo' }

/** One task of the board; times in milliseconds since 1970. */
export type Task = {
  readonly id: string
  readonly state: 'running' | 'pending' | 'ended'
  /** How it ended; '' before that. */
  readonly outcome: string
  readonly description: string
  readonly session: string
  readonly project: string
  /** 0–100; null when nobody knows. */
  readonly percent: number | null
  readonly step: string
  readonly steps: readonly Step[]
  /** Seconds that it takes yet, at least and at most, when the file was written. */
  readonly remaining: readonly [number, number] | null
  readonly endedAt: number | null
  readonly waitsFor: string
  /** Why it stands still; null while it does not. */
  readonly suspended: string | null
}

export type Board = {
  readonly running: readonly Task[]
  readonly waiting: readonly Task[]
  readonly ended: readonly Task[]
  /** All that run and wait; the lists hold the first of them. */
  readonly runningCount: number
  readonly waitingCount: number
  /** When the file was written. */
  readonly writtenAt: number
}

/** Who looks: the sessions that this client has had, and the folder it works in. */
export type Viewer = { readonly sessions: ReadonlySet<string>; readonly root: string }

export const NOTHING: Board = { running: [], waiting: [], ended: [], runningCount: 0, waitingCount: 0, writtenAt: 0 }
export const RECENT_MS = 5 * 60_000
const ALL = 20 // entries that the file has at most
const WAITING = 5 // of them, those that wait
const STEPS = 20
const ID = /^task_[0-9a-z]{10}$/u // it becomes part of a path
const WORD = /^[A-Za-z0-9_-]{1,128}$/u

type Fields = Readonly<Record<string, unknown>>

/** The board in the text of the file; `NOTHING` when it holds none, or one of a format that we do not know. */
export function parse(text: string): Board {
  let file: Fields
  try {
    file = fields(JSON.parse(text))
  } catch {
    return NOTHING
  }
  if (file.format !== 1 || !Array.isArray(file.tasks)) return NOTHING
  const tasks = file.tasks.slice(0, ALL).flatMap(entry => task(fields(entry)))
  const running = tasks.filter(one => one.state === 'running')
  const waiting = tasks.filter(one => one.state === 'pending')
  const all = Array.isArray(file.running) ? file.running.length : 0
  return {
    running,
    waiting,
    ended: tasks.filter(one => one.state === 'ended'),
    // Only a full list may have left some out; `waiting_count` counts series too, which wait for ever.
    runningCount: running.length < ALL ? running.length : Math.max(running.length, all),
    waitingCount: waiting.length < WAITING ? waiting.length : Math.max(waiting.length, number(file.waiting_count) ?? 0),
    writtenAt: moment(file.updated_at) ?? 0,
  }
}

/** The board for one viewer at `now`: its session's tasks first, then its project's; without `gone` and old endings. */
export function arranged(board: Board, viewer: Viewer, gone: ReadonlySet<string>, now: number): Board {
  const rank = (one: Task): number => (isOf(one, viewer) ? 0 : isIn(one, viewer.root) ? 1 : 2)
  const there = (list: readonly Task[]): Task[] =>
    list.filter(one => !gone.has(one.id)).sort((one, other) => rank(one) - rank(other)) // stable
  const running = there(board.running)
  const waiting = there(board.waiting)
  return {
    running,
    waiting,
    ended: there(board.ended).filter(one => one.endedAt !== null && now - one.endedAt < RECENT_MS),
    runningCount: board.runningCount - (board.running.length - running.length),
    waitingCount: board.waitingCount - (board.waiting.length - waiting.length),
    writtenAt: board.writtenAt,
  }
}

/** Whether the viewer's session submitted it. */
export function isOf(one: Task, viewer: Viewer): boolean {
  return one.session !== '' && viewer.sessions.has(one.session)
}

function isIn(one: Task, root: string): boolean {
  return one.project !== '' && `${root}/`.startsWith(`${one.project}/`)
}

function task(entry: Fields): Task[] {
  const { id } = entry
  const state = stateOf(entry.state)
  if (typeof id !== 'string' || !ID.test(id) || state === undefined) return []
  const percent = number(entry.progress)
  return [
    {
      id,
      state,
      outcome: typeof entry.outcome === 'string' && WORD.test(entry.outcome) ? entry.outcome : '',
      description: line(entry.description, 80),
      session: typeof entry.session_id === 'string' && WORD.test(entry.session_id) ? entry.session_id : '',
      project: typeof entry.project_dir === 'string' ? entry.project_dir : '',
      percent: percent === null ? null : Math.floor(Math.min(100, Math.max(0, percent))),
      step: line(entry.step, 80),
      steps: stepsOf(entry.steps),
      remaining: rangeOf(entry.estimated_range_s),
      endedAt: moment(entry.ended_at),
      waitsFor: line(entry.waiting_for, 200),
      suspended: isObject(entry.suspended) ? line(entry.suspended.reason, 120) : null,
    },
  ]
}

function stateOf(value: unknown): Task['state'] | undefined {
  if (value === 'running' || value === 'pending') return value
  return value === 'completed' || value === 'failed' || value === 'cancelled' ? 'ended' : undefined
}

function stepsOf(value: unknown): Step[] {
  if (!Array.isArray(value)) return []
  return value.slice(0, STEPS).flatMap(entry => {
    const { name, state } = fields(entry)
    const words = line(name, 80)
    return words !== '' && (state === 'done' || state === 'doing' || state === 'todo') ? [{ name: words, state }] : []
  })
}

function rangeOf(value: unknown): readonly [number, number] | null {
  if (!Array.isArray(value)) return null
  const low = number(value[0])
  const high = number(value[1])
  return low !== null && high !== null && low >= 0 && high >= low ? [low, high] : null
}

function number(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null
}

function moment(value: unknown): number | null {
  return typeof value === 'string' ? number(Date.parse(value)) : null
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function fields(value: unknown): Fields {
  return isObject(value) ? value : {}
}
