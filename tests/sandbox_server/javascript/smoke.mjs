// Drives a sandbox with E2B's JavaScript SDK; the server's address and key come by E2B_API_URL, E2B_SANDBOX_URL, E2B_API_KEY.

import assert from 'node:assert/strict'
import { Sandbox } from '@e2b/code-interpreter'

const sandbox = await Sandbox.create({ timeoutMs: 60_000, metadata: { by: 'javascript' }, envs: { GREETING: 'hello' } })
try {
  await code()
  await commands()
  await files()
  await life()
} finally {
  await sandbox.kill()
}
assert.equal(await sandbox.isRunning(), false)

async function code() {
  await sandbox.runCode('x = 20')
  const printed = []
  const execution = await sandbox.runCode("print('out'); x + 22", { onStdout: (message) => printed.push(message.line) })
  assert.equal(execution.text, '42')
  assert.equal(printed.join(''), 'out\n')
  const failed = await sandbox.runCode('1 / 0')
  assert.equal(failed.error.name, 'ZeroDivisionError')
  const context = await sandbox.createCodeContext({ language: 'javascript' })
  assert.equal((await sandbox.runCode('const y = 6; y * 7', { context })).text, '42')
}

async function commands() {
  const result = await sandbox.commands.run('echo $GREETING; echo err >&2', { envs: { MORE: '1' } })
  assert.deepEqual([result.stdout, result.stderr, result.exitCode], ['hello\n', 'err\n', 0])
  await assert.rejects(sandbox.commands.run('exit 3'), (error) => error.exitCode === 3)
  const handle = await sandbox.commands.run('cat', { background: true, stdin: true })
  await sandbox.commands.sendStdin(handle.pid, 'typed\n')
  await sandbox.commands.closeStdin(handle.pid)
  assert.equal((await handle.wait()).stdout, 'typed\n')
  await assert.rejects(sandbox.commands.run('id', { user: 'root' }), /no root/)

  let shown = ''
  const terminal = await sandbox.pty.create({ cols: 80, rows: 24, onData: (data) => (shown += Buffer.from(data)) })
  await sandbox.pty.sendInput(terminal.pid, Buffer.from('echo one$((1+1))two; exit\n'))
  await terminal.wait()
  assert.match(shown, /one2two/)
}

async function files() {
  const bytes = Uint8Array.from({ length: 300_000 }, (_, index) => index % 251)
  await sandbox.files.write('folder/data.bin', bytes.buffer)
  assert.deepEqual(await sandbox.files.read('folder/data.bin', { format: 'bytes' }), bytes)
  await sandbox.files.write('note.txt', 'żółć 🐍')
  assert.equal(await sandbox.files.read('note.txt'), 'żółć 🐍')
  assert.deepEqual((await sandbox.files.list('folder')).map((entry) => entry.name), ['data.bin'])
  await sandbox.files.rename('note.txt', 'moved.txt')
  assert.equal(await sandbox.files.exists('note.txt'), false)

  const signed = await fetch(await sandbox.downloadUrl('moved.txt', { useSignatureExpiration: 60_000 }))
  assert.equal(await signed.text(), 'żółć 🐍')

  const seen = new Promise((resolve) => {
    sandbox.files
      .watchDir('folder', (event) => event.name === 'new' && resolve(event.type))
      .then(() => sandbox.files.write('folder/new', 'x'))
  })
  assert.equal(await seen, 'create')
}

async function life() {
  const info = await sandbox.getInfo()
  assert.deepEqual(info.metadata, { by: 'javascript' })
  const listed = await Sandbox.list({ query: { metadata: { by: 'javascript' } } }).nextItems()
  assert.ok(listed.some((found) => found.sandboxId === sandbox.sandboxId))
  await sandbox.pause()
  const again = await Sandbox.connect(sandbox.sandboxId)
  assert.equal((await again.runCode('x')).text, '20')
}
