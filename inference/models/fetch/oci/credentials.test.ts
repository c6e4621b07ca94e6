import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { inTemporaryFolder } from '../../../testing/media.ts';
import { type DockerConfig, dockerCredentials, readDockerConfig } from './credentials.ts';
import { parseReference } from './reference.ts';

const auth = (text: string) => ({ auth: Buffer.from(text).toString('base64') });
const password = (name: string) => ({ kind: 'password', username: name, password: 'secret' });

describe('credentials of a registry', () => {
  const rows: { name: string; auths: DockerConfig['auths']; reference: string; found: unknown }[] = [
    {
      name: 'by host',
      auths: { 'ghcr.io': auth('one:secret') },
      reference: 'ghcr.io/team/voice',
      found: password('one'),
    },
    {
      name: 'by host and port',
      auths: { 'localhost:5000': auth('one:secret') },
      reference: 'localhost:5000/voice',
      found: password('one'),
    },
    {
      name: 'by address',
      auths: { 'https://ghcr.io/v2/': auth('one:secret') },
      reference: 'ghcr.io/voice',
      found: password('one'),
    },
    {
      name: 'of Docker Hub by its old address',
      auths: { 'https://index.docker.io/v1/': auth('one:secret') },
      reference: 'docker.io/voice',
      found: password('one'),
    },
    {
      name: 'by the longest path',
      auths: { 'ghcr.io': auth('one:secret'), 'ghcr.io/team': auth('two:secret') },
      reference: 'ghcr.io/team/voice',
      found: password('two'),
    },
    {
      name: 'but not of a path beside',
      auths: { 'ghcr.io/tea': auth('one:secret') },
      reference: 'ghcr.io/team/voice',
      found: undefined,
    },
    {
      name: 'by a wildcard for one label',
      auths: { '*.example.org': auth('one:secret') },
      reference: 'eu.example.org/voice',
      found: password('one'),
    },
    {
      name: 'by the host itself before a wildcard',
      auths: { '*.example.org': auth('one:secret'), 'eu.example.org': auth('two:secret') },
      reference: 'eu.example.org/voice',
      found: password('two'),
    },
    {
      name: 'but not by a wildcard for two',
      auths: { '*.example.org': auth('one:secret') },
      reference: 'a.eu.example.org/voice',
      found: undefined,
    },
    {
      name: 'never of another host',
      auths: { 'quay.io': auth('one:secret') },
      reference: 'ghcr.io/voice',
      found: undefined,
    },
    {
      name: 'in two fields',
      auths: { 'ghcr.io': { username: 'one', password: 'secret' } },
      reference: 'ghcr.io/voice',
      found: password('one'),
    },
    {
      name: 'with a colon in the password',
      auths: { 'ghcr.io': auth('one:a:b') },
      reference: 'ghcr.io/voice',
      found: { kind: 'password', username: 'one', password: 'a:b' },
    },
    {
      name: 'as an identity token',
      auths: { 'ghcr.io': { ...auth('00000000:'), identitytoken: 'token' } },
      reference: 'ghcr.io/voice',
      found: { kind: 'identity-token', token: 'token' },
    },
    {
      name: 'not where the entry is empty',
      auths: { 'ghcr.io': {} },
      reference: 'ghcr.io/voice',
      found: undefined,
    },
  ];
  for (const { name, auths, reference, found } of rows) {
    test(`are found ${name}`, () => {
      assert.deepEqual(dockerCredentials({ auths }, parseReference(reference)), found);
    });
  }

  test('that cannot be read are never repeated', async () => {
    await inTemporaryFolder(async (folder) => {
      await mkdir(join(folder, 'login'));
      await writeFile(join(folder, 'login/config.json'), '{"auths": {"ghcr.io": {"auth": "a-secret"');
      await assert.rejects(readDockerConfig(join(folder, 'login')), (error: Error) => {
        assert.match(error.message, /config\.json: cannot be read .* kubernetes\.io\/dockerconfigjson/);
        assert.doesNotMatch(error.message, /a-secret/);
        return true;
      });
    });
  });
});
