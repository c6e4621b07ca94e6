import assert from 'node:assert/strict';
import { it } from 'node:test';
import { lines } from './client.ts';

const collect = async (chunks: readonly Uint8Array[]) => {
  const stream = (async function* () {
    yield* chunks;
  })();
  const found: string[] = [];
  for await (const line of lines(stream)) found.push(line);
  return found;
};

it('lines are whole wherever the stream was cut, inside a character too', async () => {
  const bytes = new TextEncoder().encode('{"a":"ü"}\n\n{"b":"€"}\nrest');
  for (let size = 1; size <= bytes.length; size += 1) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
      bytes.subarray(index * size, (index + 1) * size),
    );
    assert.deepEqual(await collect(chunks), ['{"a":"ü"}', '{"b":"€"}', 'rest'], `chunks of ${size}`);
  }
});
