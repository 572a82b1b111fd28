// Run by `claude plugin test`, which tests/test_mods.py does: the mod on the client's own engine, with a make-believe
// disk, clock and session beneath it.

import type { On } from 'claude-code'
import { expect, mock, test } from 'claude-code/testing'
import type { MockClock } from 'claude-code/testing'

const NOON = Date.parse('2026-11-22T12:00:00.000Z')
const SPOOL = '/home/ada/.local/state/smart-agents/spool'
const BAND = {
  plugin: 'smart-agents',
  component: 'AbovePrompt',
  props: {
    hasSurvey: false,
    isCollapsed: false,
    isWorking: false,
    maxRows: 12,
    bodyColumns: 155,
    scroll: { offset: 0, bodyRows: 12 },
    view: {},
  },
} as const
const PANE = {
  plugin: 'smart-agents',
  component: 'Pane',
  requestId: 'smart-agents',
  props: {
    title: 'Background tasks',
    isFocused: false,
    bodyColumns: 60,
    placement: 'dock',
    scroll: { offset: 0, bodyRows: 30 },
    view: {},
  },
} as const
const COMMAND = {
  expansion_type: 'slash_command',
  command_name: 'smart-agents:panel',
  command_args: '',
  prompt: '/smart-agents:panel',
} as const
const LISTING = 'what our hook for slash commands says'

type Entry = Record<string, unknown>
type Machine = {
  clock: MockClock
  /** Everything that was read, listed and asked of the disk. */
  asked: string[]
  said: { status: (string | undefined)[]; toasts: string[]; opened: string[]; closed: string[]; drawn: number }
  put: (path: string, text: string) => void
  board: (...tasks: Entry[]) => void
  take: (path: string) => void
  session: string
  /** Whether the client has no room for a pane. */
  isNarrow: boolean
  /** What is special about every file. */
  odd: { kind?: 'other'; isLink?: boolean; size?: number }
}

const running = (over: Entry = {}): Entry => ({
  id: 'task_2q1djyx0bn',
  state: 'running',
  outcome: null,
  description: 'Analyzing auth system',
  session_id: 's-1',
  project_dir: '/home/ada/shop',
  progress: 45,
  step: 'Reading src/auth.py',
  steps: [
    { name: 'Parse auth code', state: 'done' },
    { name: 'Analyze dependencies', state: 'doing' },
    { name: 'Generate recommendations', state: 'todo' },
  ],
  estimated_range_s: [130, 300],
  started_at: '2026-11-22T11:58:00.000Z',
  ended_at: null,
  waiting_for: null,
  suspended: null,
  ...over,
})
const waiting = (over: Entry = {}): Entry =>
  running({ id: 'task_2q1djz0000', state: 'pending', description: 'Run the tests', progress: null, step: null,
    steps: [], estimated_range_s: null, waiting_for: 'room: 5 of 5 tasks run', ...over })
const ended = (over: Entry = {}): Entry =>
  running({ state: 'completed', outcome: 'succeeded', ended_at: '2026-11-22T12:00:00.000Z', progress: 100, ...over })

/** A machine on which the spool is where it is by default, unless `env` says something else. */
function machine(on: On, env: Record<string, string> = {}, surfaces: readonly 'terminal'[] = ['terminal']): Machine {
  const files = new Map<string, { text: string; mtimeMs: number }>()
  let changes = 0
  const made: Machine = {
    clock: mock.clock(on, { now: NOON }),
    asked: [],
    said: { status: [], toasts: [], opened: [], closed: [], drawn: 0 },
    put: (path, text) => void files.set(path, { text, mtimeMs: (changes += 1) }),
    take: path => void files.delete(path),
    board: (...tasks) => {
      const file = { format: 1, updated_at: new Date(made.clock.now()).toISOString(), running: [], tasks }
      made.put(`${SPOOL}/supervisor/status.json`, JSON.stringify(file))
      for (const one of tasks) made.put(`${SPOOL}/${String(one.state)}/${String(one.id)}.json`, '{}')
    },
    session: 's-1',
    isNarrow: false,
    odd: {},
  }
  const at = (path: string) => {
    made.asked.push(path)
    return files.get(path)
  }
  mock.env(on, { HOME: '/home/ada', ...env })
  on('fs.read', (_, e) => {
    const found = at(e.path)
    return found === undefined ? { deny: 'ENOENT' } : { value: found.text }
  })
  on('fs.stat', (_, e) => {
    const found = at(e.path)
    if (found === undefined) return { deny: 'ENOENT' }
    return { value: { kind: 'file', size: found.text.length, mtimeMs: found.mtimeMs, isLink: false, ...made.odd } }
  })
  on('fs.exists', (_, e) => ({ value: at(e.path) !== undefined }))
  on('session.id', () => ({ value: made.session }))
  on('session.root', () => ({ value: '/home/ada/shop/src' }))
  on('session.surfaces', () => ({ value: surfaces }))
  on('session.start', (_, e) => ({ cwd: e.cwd }))
  on('ui.status', (_, e) => (made.said.status.push(e.text), { value: undefined }))
  on('ui.toast', (_, e) => (made.said.toasts.push(e.text), { value: undefined }))
  on('ui.invalidate', () => ((made.said.drawn += 1), { value: undefined }))
  on('ui.open', (_, e) => {
    made.said.opened.push(e.id)
    return { value: made.isNarrow ? { isPlaced: false, reason: 'opened unasked below 144 columns' } : { isPlaced: true } }
  })
  on('ui.close', (_, e) => (made.said.closed.push(e.id), { value: undefined }))
  on('classic.UserPromptExpansion', () => ({ block: LISTING }))
  return made
}

type Sessions = { session: { start: (e: { cwd: string; surface: 'terminal' | null; isInteractive: boolean }) => unknown } }

async function begin($: Sessions, world: Machine, surface: 'terminal' | null = 'terminal'): Promise<void> {
  await $.session.start({ cwd: '/home/ada/shop/src', surface, isInteractive: surface !== null })
  await world.clock.settle()
}

type Drawing = { findAll: (query: { type: 'Text' }) => Promise<{ text?: string }[]>; unmount: () => Promise<unknown> }

async function words(ui: Drawing): Promise<string[]> {
  const found = (await ui.findAll({ type: 'Text' })).map(one => one.text ?? '')
  await ui.unmount()
  return found
}

test('the band shows a running task with its percent and current step, on every surface', async ($, on) => {
  const world = machine(on)
  world.board(running())
  await begin($, world)
  for (const surface of ['terminal', 'desktop', 'vscode', 'mobile'] as const) {
    const ui = await $.ui.mount({ ...BAND, surface })
    expect(await words(ui)).toEqual([
      '🔄 task_2q1djyx0bn: Analyzing auth system (45%)',
      '   └─ Step 2: Analyze dependencies ⏳',
    ])
  }
})

test('the band is gone once nothing runs, and so is the status line once nothing waits', async ($, on) => {
  const world = machine(on)
  world.board(running(), waiting())
  await begin($, world)
  expect(world.said.status).toEqual(['⏳ 1 running · 1 waiting'])
  world.board(waiting(), ended())
  await world.clock.advance(1500)
  expect(await words(await $.ui.mount({ ...BAND, surface: 'terminal' }))).toEqual([])
  expect(world.said.status.at(-1)).toBe('⏳ 1 waiting')
  world.board(ended())
  await world.clock.advance(1500)
  expect(world.said.status.at(-1)).toBeUndefined()
})

test('with nothing on the board nothing is drawn, said or asked for again', async ($, on) => {
  const world = machine(on)
  await begin($, world)
  world.board()
  await world.clock.advance(120_000)
  expect(await words(await $.ui.mount({ ...BAND, surface: 'terminal' }))).toEqual([])
  expect(world.said).toEqual({ status: [], toasts: [], opened: [], closed: [], drawn: 0 })
})

test('the band takes five rows at most, and fewer where there is less room', async ($, on) => {
  const world = machine(on)
  world.board(...[0, 1, 2, 3, 4, 5, 6].map(n => running({ id: `task_2q1djyx00${n}` })))
  await begin($, world)
  const five = await words(await $.ui.mount({ ...BAND, surface: 'terminal' }))
  expect(five).toHaveLength(5)
  expect(five[0]).toBe('🔄 task_2q1djyx000: Analyzing auth system (45%) · Analyze dependencies')
  expect(five[4]).toBe('… 3 more: /smart-agents:panel')
  const low = { ...BAND, surface: 'terminal', props: { ...BAND.props, maxRows: 2 } } as const
  expect(await words(await $.ui.mount(low))).toHaveLength(2)
})

test('where there is little room the description is cut, and the percent stays', async ($, on) => {
  const world = machine(on)
  world.board(running({ steps: [], step: null }), running({ id: 'task_2q1dj00002', description: '你好'.repeat(20) }))
  await begin($, world)
  const narrow = { ...BAND, surface: 'terminal', props: { ...BAND.props, maxRows: 2, bodyColumns: 40 } } as const
  const lines = await words(await $.ui.mount(narrow))
  expect(lines[0]).toBe('🔄 task_2q1djyx0bn: Analyzing aut… (45%)')
  expect(lines[1]).toStartWith('🔄 task_2q1dj00002: 你好你好你… (45%) · ')
})

test('the band gives way to a survey of the client', async ($, on) => {
  const world = machine(on)
  world.board(running())
  await begin($, world)
  const survey = { ...BAND, surface: 'terminal', props: { ...BAND.props, hasSurvey: true } } as const
  expect(await words(await $.ui.mount(survey))).toEqual([])
})

test('the tasks of this session come first, then those of this project', async ($, on) => {
  const world = machine(on)
  const other = { session_id: 's-9', project_dir: '/home/ada/sh', steps: [], step: null }
  world.board(
    running({ ...other, id: 'task_2q1dj00001', description: 'elsewhere' }),
    running({ ...other, id: 'task_2q1dj00002', description: 'here', project_dir: '/home/ada/shop' }),
    running({ ...other, id: 'task_2q1dj00003', description: 'mine', session_id: 's-1' }),
  )
  await begin($, world)
  const lines = await words(await $.ui.mount({ ...BAND, surface: 'terminal' }))
  expect(lines.map(line => line.split(': ')[1])).toEqual(['mine (45%)', 'here (45%)', 'elsewhere (45%)'])
})

test('the command opens the pane without a model turn, and the pane shows steps, reasons and endings', async ($, on) => {
  const world = machine(on)
  world.board(
    running(),
    waiting(),
    ended({ id: 'task_2q1dj00009', description: 'Review', state: 'failed', outcome: 'timed_out' }),
  )
  await begin($, world)
  const answer = await $.classic.UserPromptExpansion(COMMAND)
  expect(answer).toEqual({ block: 'The background tasks are in the pane; ctrl+x x closes it.', suppressOriginalPrompt: true })
  expect(world.said.opened).toEqual(['smart-agents'])
  await world.clock.advance(60_000)
  for (const surface of ['terminal', 'desktop', 'vscode', 'mobile'] as const) {
    expect(await words(await $.ui.mount({ ...PANE, surface }))).toEqual([
      'Running (1)',
      '🔄 task_2q1djyx0bn: Analyzing auth system (45%)',
      '   ├─ Step 1: Parse auth code ✅',
      '   ├─ Step 2: Analyze dependencies ⏳',
      '   ├─ Step 3: Generate recommendations ⏸',
      '   ├─ Now: Reading src/auth.py',
      '   └─ About 1–4 min left',
      'Waiting (1)',
      '⏸ task_2q1djz0000: Run the tests',
      '   └─ waits for room: 5 of 5 tasks run',
      'Ended (1)',
      '⏱ task_2q1dj00009: Review',
      '   └─ ran out of time 1m ago · /smart-agents:result task_2q1dj00009',
    ])
  }
})

test('an ending leaves the pane after five minutes though the file says it still', async ($, on) => {
  const world = machine(on)
  world.board(ended())
  await begin($, world)
  await world.clock.advance(4 * 60_000)
  expect((await words(await $.ui.mount({ ...PANE, surface: 'terminal' })))[0]).toBe('Ended (1)')
  await world.clock.advance(2 * 60_000)
  expect(await words(await $.ui.mount({ ...PANE, surface: 'terminal' }))).toEqual([
    'No background tasks. /smart-agents:bg WHAT TO DO starts one.',
  ])
})

test('a suspended task says why, and that it stands still', async ($, on) => {
  const world = machine(on)
  world.board(running({ suspended: { since: '2026-11-22T11:59:00.000Z', reason: 'memory 96 % in use' } }))
  await begin($, world)
  expect(await words(await $.ui.mount({ ...BAND, surface: 'terminal' }))).toEqual([
    '⏸ task_2q1djyx0bn: Analyzing auth system (45%)',
    '   └─ suspended: memory 96 % in use',
  ])
})

test('where there is no room for a pane the command is answered with the list, and no pane waits', async ($, on) => {
  const world = machine(on)
  world.isNarrow = true
  await begin($, world)
  expect(await $.classic.UserPromptExpansion(COMMAND)).toEqual({ block: LISTING })
  expect(world.said.closed).toEqual(['smart-agents'])
})

test('the other commands are none of its business', async ($, on) => {
  const world = machine(on)
  await begin($, world)
  const other = { ...COMMAND, command_name: 'smart-agents:tasks' }
  expect(await $.classic.UserPromptExpansion(other)).toEqual({ block: LISTING })
  expect(world.said.opened).toEqual([])
})

test('where nobody draws, and where the plugin is off, the command goes on to the hook for slash commands', async ($, on) => {
  const world = machine(on, {}, [])
  await begin($, world, null)
  expect(await $.classic.UserPromptExpansion(COMMAND)).toEqual({ block: LISTING })
  expect(world.asked).toEqual([])
})

const OFF: readonly Record<string, string>[] = [{ SA_TASK_ID: 'task_2q1djyx0bn' }, { SA_DISABLE: '1' }]
for (const off of OFF) {
  test(`with ${Object.keys(off)[0]} nothing is shown, and no file is looked at`, async ($, on) => {
    const world = machine(on, off)
    world.board(running())
    await begin($, world)
    await world.clock.advance(10_000)
    expect(await words(await $.ui.mount({ ...BAND, surface: 'terminal' }))).toEqual([])
    expect(await $.classic.UserPromptExpansion(COMMAND)).toEqual({ block: LISTING })
    expect(world.asked).toEqual([])
    expect(world.said).toEqual({ status: [], toasts: [], opened: [], closed: [], drawn: 0 })
  })
}

test('a task of this session that ends is told in one toast; others, and what had ended before, in none', async ($, on) => {
  const world = machine(on)
  const before = ended({ id: 'task_2q1dj00004' })
  const others = ended({ id: 'task_2q1dj00005', session_id: 's-9' })
  world.board(running(), before)
  await begin($, world)
  world.board(ended(), others, before)
  await world.clock.advance(3000)
  world.board(waiting(), ended(), others, before)
  await world.clock.advance(3000)
  expect(world.said.toasts).toEqual(['✅ “Analyzing auth system” completed · /smart-agents:result task_2q1djyx0bn'])
})

test('what was submitted before /clear is still told', async ($, on) => {
  const world = machine(on)
  world.board(running())
  await begin($, world)
  world.session = 's-2'
  world.board(ended({ outcome: 'failed', state: 'failed' }))
  await world.clock.advance(1500)
  expect(world.said.toasts).toEqual(['❌ “Analyzing auth system” failed · /smart-agents:result task_2q1djyx0bn'])
})

test('a look at an unchanged file is one question to the disk, and draws nothing', async ($, on) => {
  const world = machine(on)
  world.board(running())
  await begin($, world)
  const drawn = world.said.drawn
  world.asked.length = 0
  await world.clock.advance(1500 * 4)
  expect(world.asked).toEqual(Array(4).fill(`${SPOOL}/supervisor/status.json`))
  expect(world.said.drawn).toBe(drawn)
})

test('what is told in minutes is drawn anew each minute', async ($, on) => {
  const world = machine(on)
  world.board(running())
  await begin($, world)
  const drawn = world.said.drawn
  await world.clock.advance(3 * 60_000)
  expect(world.said.drawn).toBe(drawn + 3)
})

test('a task whose job file has moved on is not shown as running by a file that nobody writes any more', async ($, on) => {
  const world = machine(on)
  world.board(running())
  await begin($, world)
  world.take(`${SPOOL}/running/task_2q1djyx0bn.json`)
  await world.clock.advance(15_000)
  expect(await words(await $.ui.mount({ ...BAND, surface: 'terminal' }))).toEqual([])
  expect(world.said.status).toEqual(['⏳ 1 running', undefined])
})

test('a board that is broken, foreign or hostile shows nothing and stops nothing', async ($, on) => {
  const world = machine(on)
  const path = `${SPOOL}/supervisor/status.json`
  await begin($, world)
  for (const text of ['', '{', '[]', 'null', JSON.stringify({ format: 2, tasks: [running()] }), '{"format":1,"tasks":7}',
    '{"format":1,"tasks":[null,7,{"id":"../../x","state":"running"},{"id":"task_2q1djyx0bn","state":"odd"}]}']) {
    world.put(path, text)
    await world.clock.advance(1500)
    expect(await words(await $.ui.mount({ ...BAND, surface: 'terminal' }))).toEqual([])
  }
  world.board(running({ description: 7, progress: 1e9, step: {}, steps: [{}, 1, { name: 'x', state: 'odd' }],
    estimated_range_s: ['a'], suspended: [] }))
  await world.clock.advance(1500)
  expect(await words(await $.ui.mount({ ...BAND, surface: 'terminal' }))).toEqual(['🔄 task_2q1djyx0bn (100%)'])
})

test('words of agents are drawn without escapes, on one line, and cut', async ($, on) => {
  const world = machine(on)
  const evil = `\u001b]0;title\u0007a\u001b[31mb\n\u202ec\u0000${'x'.repeat(500)}`
  world.board(running({ description: evil, step: evil, steps: [] }))
  await begin($, world)
  const lines = await words(await $.ui.mount({ ...BAND, surface: 'terminal' }))
  expect(lines[0]).toBe(`🔄 task_2q1djyx0bn: ab c${'x'.repeat(75)}… (45%)`)
  expect(lines[1]).toBe(`   └─ ab c${'x'.repeat(75)}…`)
})

test('a status file that is a link, no file or too large is not read', async ($, on) => {
  const world = machine(on)
  world.board(running())
  await begin($, world)
  for (const odd of [{ isLink: true }, { kind: 'other' }, { size: 2_000_000 }] as const) {
    world.odd = odd
    await world.clock.advance(1500)
    expect(await words(await $.ui.mount({ ...BAND, surface: 'terminal' }))).toEqual([])
    world.odd = {}
    await world.clock.advance(1500)
    expect(await words(await $.ui.mount({ ...BAND, surface: 'terminal' }))).toHaveLength(2)
  }
})

const PLACES: readonly [string, Record<string, string>, string | null, string][] = [
  ['SA_SPOOL_DIR', { SA_SPOOL_DIR: '/data/spool' }, null, '/data/spool'],
  ['the recorded place', {}, '/home/ada/.config/smart-agents/place', '/data/recorded'],
  ['the place in XDG_CONFIG_HOME', { XDG_CONFIG_HOME: '/cfg/' }, '/cfg/smart-agents/place', '/data/recorded'],
  ['the place beside SA_CONFIG', { SA_CONFIG: '/etc/sa/config.toml' }, '/etc/sa/place', '/data/recorded'],
  ['XDG_STATE_HOME', { XDG_STATE_HOME: '/state' }, null, '/state/smart-agents/spool'],
  ['the default', {}, null, SPOOL],
]
for (const [name, env, recorded, spool] of PLACES) {
  test(`the spool is found by ${name}`, async ($, on) => {
    const world = machine(on, env)
    if (recorded !== null) world.put(recorded, `${spool}\n`)
    await begin($, world)
    expect(world.asked.at(-1)).toBe(`${spool}/supervisor/status.json`)
  })
}

test('a spool that has been moved is found again within half a minute, and its old endings are no news', async ($, on) => {
  const world = machine(on)
  await begin($, world)
  const file = { format: 1, tasks: [running({ id: 'task_2q1dj00001' }), ended()] }
  world.put('/home/ada/.config/smart-agents/place', '/data/moved\n')
  world.put('/data/moved/supervisor/status.json', JSON.stringify(file))
  await world.clock.advance(30_000)
  expect(await words(await $.ui.mount({ ...BAND, surface: 'terminal' }))).toHaveLength(2)
  expect(world.said.toasts).toEqual([])
})
