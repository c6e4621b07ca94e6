/** The runtime can be lifted out: it needs nothing outside its folder but packages. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';

const folder = import.meta.dirname;
const sources = readdirSync(folder).filter((file) => file.endsWith('.ts'));
const imports = (text: string) =>
  [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(([, name]) => name ?? '');

it('imports files of its own folder, Node and these packages, and nothing else', () => {
  const packages = new Set<string>();
  for (const file of sources) {
    for (const name of imports(readFileSync(join(folder, file), 'utf8'))) {
      if (name.startsWith('.'))
        assert.ok(sources.includes(name.replace(/^\.\//, '')), `${file} imports ${name}`);
      else if (!name.startsWith('node:')) packages.add(name);
    }
  }
  const forTests = ['fast-check'];
  assert.deepEqual([...packages].filter((name) => !forTests.includes(name)).sort(), [
    '@kubernetes/client-node',
    'pino',
    'prom-client',
    'undici',
  ]);
});

it('shows in its README the example that the tests run', () => {
  const [readme, example] = ['README.md', 'example.ts'].map((file) =>
    readFileSync(join(folder, file), 'utf8'),
  );
  assert.ok(readme?.includes(`\`\`\`ts\n${example}\`\`\``));
});
