import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseReference, registryHost } from './reference.ts';

const digest = `sha256:${'a'.repeat(64)}`;

describe('a reference', () => {
  const rows: [string, string, string, string][] = [
    ['ghcr.io/team/voice', 'ghcr.io', 'team/voice', 'latest'],
    ['ghcr.io/team/voice:1.2.3', 'ghcr.io', 'team/voice', '1.2.3'],
    ['localhost:5000/voice:one', 'localhost:5000', 'voice', 'one'],
    ['[::1]:5000/voice', '[::1]:5000', 'voice', 'latest'],
    [`ghcr.io/team/voice@${digest}`, 'ghcr.io', 'team/voice', digest],
    [`ghcr.io/team/voice:1.2.3@${digest}`, 'ghcr.io', 'team/voice', digest],
    ['docker.io/voice', 'registry-1.docker.io', 'library/voice', 'latest'],
    ['docker.io/team/voice', 'registry-1.docker.io', 'team/voice', 'latest'],
    ['quay.io/a-b/c__d/e.f', 'quay.io', 'a-b/c__d/e.f', 'latest'],
  ];
  for (const [text, host, repository, version] of rows) {
    test(`${text} names ${version} of ${repository} at ${host}`, () => {
      const reference = parseReference(text);
      assert.deepEqual(
        [registryHost(reference), reference.repository, reference.version],
        [host, repository, version],
      );
    });
  }

  for (const text of [
    'voice',
    'ghcr.io/',
    'ghcr.io/Team/voice',
    'ghcr.io/voice@sha256:12',
    'https://ghcr.io/voice',
    'ghcr.io/../voice',
  ]) {
    test(`${text} is refused`, () => {
      assert.throws(() => parseReference(text), /is no reference; write HOST/);
    });
  }
});
