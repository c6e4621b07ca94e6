import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import type { Output } from './command.ts';
import { fitting, type LivePage, showLive } from './live.ts';

/** A page whose text and changes the test decides. */
function page(isTTY: boolean, view: (now: number) => string) {
  const written: string[] = [];
  const stop = new AbortController();
  const subscription = Promise.withResolvers<() => void>();
  const output: Output = { isTTY, rows: 24, write: (text) => written.push(text) };
  const follow: LivePage['follow'] = (changed, signal) => {
    subscription.resolve(changed);
    return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  };
  const ended = showLive({ output, signal: stop.signal, view, follow });
  return { written, stop, ended, changed: subscription.promise };
}

const bursts = () => new Promise((resolve) => setTimeout(resolve, 250));

describe('a live page', () => {
  it('elsewhere than on a terminal is printed when it changed, and not for ages alone', async () => {
    let state = 'one';
    const { written, stop, ended, changed } = page(false, (now) => `${state} at ${now}`);
    const tell = await changed;
    tell();
    await bursts();
    assert.equal(written.length, 1);
    state = 'two';
    tell();
    tell();
    await bursts();
    stop.abort();
    await ended;
    assert.deepEqual(
      written.map((text) => text.replace(/ at \d+/, '')),
      ['one\n', '\ntwo\n'],
    );
  });

  it('on a terminal is drawn in place, and its last state stays on the screen', async () => {
    const { written, stop, ended, changed } = page(true, () => 'a\nb');
    (await changed)();
    await bursts();
    stop.abort();
    await ended;
    const [enter = '', first = ''] = written;
    assert.ok(enter.includes('\u001b[?1049h') && enter.includes('\u001b[?25l'));
    assert.equal(first, '\u001b[Ha\u001b[K\r\nb\u001b[K\u001b[J');
    const leave = written.at(-1) ?? '';
    assert.ok(leave.includes('\u001b[?1049l') && leave.includes('\u001b[?25h'));
    assert.ok(stripVTControlCharacters(leave).endsWith('a\nb\n'));
  });

  it('gives the terminal back when it can show nothing more', async () => {
    const gone = new Error('gone');
    let there = true;
    const { written, ended, changed } = page(true, () => {
      if (!there) throw gone;
      return 'a';
    });
    there = false;
    (await changed)();
    await assert.rejects(ended, gone);
    assert.ok(written.at(-1)?.includes('\u001b[?1049l'));
  });

  it('ends at once where nobody wants it any more', async () => {
    const stop = AbortSignal.abort();
    const written: string[] = [];
    const output: Output = { isTTY: false, write: (text) => written.push(text) };
    await showLive({ output, signal: stop, view: () => 'a', follow: async () => undefined });
    assert.deepEqual(written, ['a\n']);
  });
});

it('a page that is longer than the screen says how much is missing', () => {
  assert.deepEqual(fitting(['a', 'b'], 2), ['a', 'b']);
  assert.deepEqual(fitting(['a', 'b', 'c'], 2), ['a', '… 2 more lines: enlarge the window']);
});
