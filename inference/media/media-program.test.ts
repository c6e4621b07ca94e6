import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { inTemporaryFolder } from '../testing/media.ts';
import { collectOutput, FfmpegError, type FfmpegExit, outputOf, type ProgramRun } from './media-program.ts';

const noise = ['-f', 'lavfi', '-i', 'nullsrc=size=64x64:rate=25'];
const withKernelLimits = existsSync('/usr/bin/prlimit') ? false : 'prlimit is not installed';

function run(args: readonly string[], overrides: Partial<ProgramRun> = {}) {
  const exits: FfmpegExit[] = [];
  const signal = new AbortController().signal;
  const onExit = (exit: FfmpegExit) => void exits.push(exit);
  const common = ['-v', 'error', '-nostdin'];
  const base = { program: 'ffmpeg', path: '/nothing', maxBytes: 1e6, signal, onExit } as const;
  return { exits, run: { ...base, args: [...common, ...args], ...overrides } satisfies ProgramRun };
}

const isExit = (exit: FfmpegExit, message: RegExp) => (error: unknown) =>
  error instanceof FfmpegError && error.exit === exit && message.test(error.message);

async function* endlessInput() {
  for (;;) yield Buffer.alloc(4096);
}

async function* first<T>(count: number, items: AsyncIterable<T>) {
  let left = count;
  for await (const item of items) {
    yield item;
    left -= 1;
    if (left === 0) return;
  }
}

/** What is left of the output of a program whose request has gone is that it was stopped. */
async function assertStopped(output: AsyncIterable<Buffer>, exits: readonly FfmpegExit[]): Promise<void> {
  await assert.rejects(
    async () => {
      for await (const _ of output);
    },
    isExit('aborted', /was stopped/),
  );
  assert.deepEqual(exits, ['aborted']);
}

describe('a run of ffmpeg', () => {
  test('gives what it wrote on both pipes', async () => {
    const side: Buffer[] = [];
    const sound = ['-f', 'lavfi', '-i', 'sine=sample_rate=8000:duration=1'];
    const outputs = [
      '-map',
      '0:v',
      '-frames:v',
      '2',
      '-f',
      'rawvideo',
      'pipe:1',
      '-map',
      '1:a',
      '-f',
      'u8',
      'pipe:3',
    ];
    const { run: both, exits } = run([...noise, ...sound, ...outputs], {
      onSideOutput: (chunk) => side.push(chunk),
    });
    assert.equal((await collectOutput(both)).output.length, 2 * 64 * 64 * 1.5);
    assert.equal(Buffer.concat(side).length, 8000);
    assert.deepEqual(exits, ['ok']);
  });

  test('reads what it is fed', async () => {
    const { run: fed, exits } = run(['-f', 'u8', '-i', 'pipe:0', '-f', 'u8', 'pipe:1'], {
      input: first(100, endlessInput()),
    });
    assert.equal((await collectOutput(fed)).output.length, 100 * 4096);
    assert.deepEqual(exits, ['ok']);
  });

  test('may end before it has read all', async () => {
    const input = endlessInput();
    const { run: content, exits } = run(['-f', 'u8', '-i', 'pipe:0', '-t', '0.1', '-f', 'u8', 'pipe:1'], {
      input,
    });
    assert.equal((await collectOutput(content)).output.length, 4410);
    assert.deepEqual(exits, ['ok']);
    assert.deepEqual(await input.next(), { done: true, value: undefined }, 'the input is closed');
  });

  test('fails when its input fails', async () => {
    async function* broken() {
      yield Buffer.alloc(4096);
      throw new Error('the disk is gone');
    }
    const { run: fed, exits } = run(['-f', 'u8', '-i', 'pipe:0', '-f', 'u8', 'pipe:1'], { input: broken() });
    await assert.rejects(collectOutput(fed), /the disk is gone/);
    assert.deepEqual(exits, ['failed']);
  });

  test('closes its input when its request goes', async () => {
    const leaving = new AbortController();
    const input = endlessInput();
    const fed = run(['-f', 'u8', '-i', 'pipe:0', '-f', 'u8', 'pipe:1'], {
      input,
      signal: leaving.signal,
      maxBytes: Infinity,
    });
    const output = outputOf(fed.run);
    await output.next();
    leaving.abort();
    await assertStopped(output, fed.exits);
    assert.deepEqual(await input.next(), { done: true, value: undefined }, 'the input is closed');
  });

  test('that writes too much is ended', async () => {
    const { run: endless, exits } = run([...noise, '-f', 'rawvideo', 'pipe:1']);
    await assert.rejects(collectOutput(endless), isExit('output_limit', /more than 1000000 bytes/));
    assert.deepEqual(exits, ['output_limit']);
  });

  test('that nobody reads waits, and dies with its request', async () => {
    const leaving = new AbortController();
    const endless = run([...noise, '-f', 'rawvideo', 'pipe:1'], {
      signal: leaving.signal,
      maxBytes: Infinity,
    });
    const output = outputOf(endless.run);
    await output.next();
    leaving.abort();
    await assertStopped(output, endless.exits);
  });

  test('says what is wrong without the path of the file', async () => {
    await inTemporaryFolder(async (folder) => {
      const path = join(folder, 'upload');
      await writeFile(path, 'no media');
      const { run: broken } = run(['-f', 'mov', '-i', path, '-f', 'null', '-'], { path });
      await assert.rejects(collectOutput(broken), (error) => {
        return isExit('failed', /./)(error) && !String(error).includes(folder);
      });
    });
  });

  test('cannot write a file', { skip: withKernelLimits }, async () => {
    await inTemporaryFolder(async (folder) => {
      const path = join(folder, 'out.raw');
      const { run: writing } = run([...noise, '-frames:v', '9', '-f', 'rawvideo', path]);
      await assert.rejects(collectOutput(writing), FfmpegError);
      assert.equal((await readFile(path)).length, 0);
    });
  });

  test('cannot take more memory than is allowed', { skip: withKernelLimits }, async () => {
    const large = ['-f', 'lavfi', '-i', 'nullsrc=size=8000x8000:duration=4'];
    const { run: greedy, exits } = run([...large, '-vf', 'reverse', '-f', 'null', '-']);
    await assert.rejects(collectOutput(greedy), isExit('memory_limit', /more memory than is allowed/));
    assert.deepEqual(exits, ['memory_limit']);
  });

  test('knows no secret of this process', async () => {
    process.env['API_KEY'] = 'secret-of-this-test';
    const { run: reading } = run(
      ['-protocol_whitelist', 'file,pipe', '-f', 'data', '-i', '/proc/self/environ'],
      {
        maxBytes: 1e6,
      },
    );
    const args = [...reading.args, '-map', '0', '-c', 'copy', '-f', 'data', 'pipe:1'];
    const { output } = await collectOutput({ ...reading, args }).finally(() => delete process.env['API_KEY']);
    assert.match(output.toString(), /LC_ALL=C/);
    assert.doesNotMatch(output.toString(), /secret-of-this-test/);
  });
});
