import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { IMAGE_MEMORY_ENVIRONMENT } from './image-environment.ts';

test('what is measured without an image has the memory settings of the image', async () => {
  const dockerfile = await readFile(new URL('../../Dockerfile.inference', import.meta.url), 'utf8');
  const settings = dockerfile.split('\n').flatMap((line) => /^ENV (.*)$/.exec(line)?.[1]?.split(' ') ?? []);
  for (const [name, value] of Object.entries(IMAGE_MEMORY_ENVIRONMENT))
    assert.ok(settings.includes(`${name}=${value}`), `${name}=${value} is not in ${settings.join(' ')}`);
});
