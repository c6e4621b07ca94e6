import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { withLock } from './lock.ts';
import {
  CommandError,
  isRunning,
  launchCommand,
  listDaemons,
  run,
  startDaemon,
  stopDaemon,
} from './process.ts';

const directory = mkdtempSync(join(tmpdir(), 'daemons-'));
after(() => rmSync(directory, { recursive: true, force: true }));

describe('run', () => {
  it('returns standard output and passes input on', async () => {
    assert.equal(await run('cat', [], { input: 'text' }), 'text');
  });
  it('fails with the status and the end of all output', async () => {
    await assert.rejects(run('sh', ['-c', 'echo out; echo err >&2; exit 3']), (error) => {
      assert.ok(error instanceof CommandError);
      assert.equal(error.exitCode, 3);
      assert.match(error.message, /sh ended with status 3: out\nerr/);
      return true;
    });
  });
  it('names a program that is not there', async () => {
    await assert.rejects(run('no-such-program', []), /cannot run no-such-program/);
  });
});

describe('a daemon', () => {
  const text = { path: join(directory, 'config'), text: 'one' };
  const spec = { name: 'sleeper', command: 'sleep', args: ['60'], config: text, outlivesCaller: false };

  it('is kept by a second start, and replaced when its arguments or its configuration change', async () => {
    const first = await startDaemon(directory, spec);
    assert.equal((await startDaemon(directory, spec)).pid, first.pid);
    const reconfigured = await startDaemon(directory, { ...spec, config: { ...text, text: 'two' } });
    assert.notEqual(reconfigured.pid, first.pid);
    assert.equal(readFileSync(text.path, 'utf8'), 'two');
    const other = await startDaemon(directory, { ...spec, config: { ...text, text: 'two' }, args: ['61'] });
    assert.deepEqual([first, reconfigured, other].map(isRunning), [false, false, true]);
    await stopDaemon(directory, other);
    assert.equal(isRunning(other), false);
    assert.deepEqual(await listDaemons(directory), []);
  });

  it('is not mistaken for another process that got its pid, before or after a reboot', async () => {
    const record = await startDaemon(directory, spec);
    assert.equal(isRunning({ ...record, startTicks: '1' }), false);
    assert.equal(isRunning({ ...record, bootId: 'an earlier boot' }), false);
    await stopDaemon(directory, { ...record, startTicks: '1' });
    assert.equal(isRunning(record), true, 'a stale record ends nothing');
    await stopDaemon(directory, record);
  });

  it('with a record cut short counts as absent', async () => {
    writeFileSync(join(directory, 'cut.json'), '{"name": "cu');
    assert.deepEqual(await listDaemons(directory), []);
  });

  it('ends with its caller unless it is to outlive it', () => {
    const command = { command: 'etcd', args: ['--flag'] };
    assert.deepEqual(launchCommand({ ...command, outlivesCaller: true }), ['etcd', '--flag']);
    const bound = ['setpriv', '--pdeathsig', 'KILL', '--', 'etcd', '--flag'];
    assert.deepEqual(launchCommand({ ...command, outlivesCaller: false }), bound);
  });
});

describe('withLock', () => {
  const path = join(directory, 'lock');
  const silent = () => undefined;

  it('lets one at a time work', async () => {
    const order: string[] = [];
    const work = (name: string) => async () => {
      order.push(`${name} in`);
      await new Promise((resolve) => setTimeout(resolve, 20));
      order.push(`${name} out`);
    };
    await Promise.all([withLock(path, silent, work('a')), withLock(path, silent, work('b'))]);
    assert.deepEqual(order, ['a in', 'a out', 'b in', 'b out']);
  });

  const stale: [string, string][] = [
    ['a holder that no longer lives', '4194305 123'],
    ['one that was killed before it wrote its name', ''],
  ];
  for (const [name, text] of stale) {
    it(`takes over from ${name}, one at a time`, async () => {
      writeFileSync(path, text);
      let inside = 0;
      const work = async () => {
        inside += 1;
        assert.equal(inside, 1);
        await new Promise((resolve) => setTimeout(resolve, 5));
        inside -= 1;
      };
      await Promise.all(Array.from({ length: 4 }, () => withLock(path, silent, work)));
      assert.deepEqual(
        readdirSync(directory).filter((file) => file.startsWith('lock')),
        [],
      );
    });
  }
});
