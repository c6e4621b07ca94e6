import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { inTemporaryFolder } from '../testing/media.ts';
import { configOf, readConfig } from './config.ts';
import { effectiveConfig } from './effective.ts';
import { loadSettings } from './load.ts';
import { configurationReference } from './reference.ts';
import { variables } from './variables.ts';

interface Layers {
  readonly env?: Readonly<Record<string, string>>;
  readonly dotEnv?: string;
  readonly yaml?: string;
  /** Further files by name; `{folder}` in the layers is where they are. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Loads the layers from files in a fresh folder; `{folder}` is taken out of what is wrong with them. */
async function load({ env = {}, dotEnv = '', yaml = '', files = {} }: Layers) {
  return inTemporaryFolder(async (folder) => {
    const inFolder = (text: string) => text.replaceAll('{folder}', folder);
    for (const [name, text] of Object.entries({ '.env': dotEnv, 'config.yaml': yaml, ...files }))
      await writeFile(join(folder, name), inFolder(text));
    const { settings, problems } = loadSettings({
      env: {
        MODELS_DIR: folder,
        ...Object.fromEntries(Object.entries(env).map(([k, v]) => [k, inFolder(v)])),
      },
      configFile: join(folder, 'config.yaml'),
      envFile: join(folder, '.env'),
    });
    const found = problemsOf(() => configOf(settings, problems)).replaceAll(`${folder}/`, '');
    return { settings, found };
  });
}

function problemsOf(action: () => unknown): string {
  try {
    action();
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

describe('layers of the configuration', () => {
  const values: {
    name: string;
    layers: Layers;
    variable: string;
    value: string | undefined;
    place?: RegExp;
  }[] = [
    {
      name: 'the environment goes before .env',
      layers: { env: { PORT: '1' }, dotEnv: 'PORT=2', yaml: 'port: 3' },
      variable: 'PORT',
      value: '1',
    },
    {
      name: '.env goes before config.yaml',
      layers: { dotEnv: '# ports\nPORT=4\nexport PORT = "2"', yaml: 'port: 3' },
      variable: 'PORT',
      value: '2',
      place: /\.env, line 3$/,
    },
    {
      name: 'an empty value does not hide that of a lower layer',
      layers: { env: { PORT: '' }, dotEnv: 'PORT=', yaml: 'port: 3' },
      variable: 'PORT',
      value: '3',
      place: /config\.yaml, line 1$/,
    },
    { name: 'null counts as absent', layers: { yaml: 'port:\nhost: ~' }, variable: 'PORT', value: undefined },
    {
      name: 'keys are nested between any words',
      layers: { yaml: 'max:\n  upload:\n    bytes: 2048\n  queue: 1' },
      variable: 'MAX_UPLOAD_BYTES',
      value: '2048',
      place: /line 3$/,
    },
    {
      name: 'keys may be the variables',
      layers: { yaml: 'MAX_QUEUE: 7' },
      variable: 'MAX_QUEUE',
      value: '7',
    },
    {
      name: 'a sequence is a list',
      layers: { yaml: 'activeModels: [a, b]' },
      variable: 'ACTIVE_MODELS',
      value: 'a,b',
    },
    {
      name: 'items with commas stay whole',
      layers: { yaml: 'api: {key: ["a,b", 1]}' },
      variable: 'API_KEY',
      value: '["a,b","1"]',
    },
    {
      name: 'a mapping is pairs',
      layers: { yaml: `modelDigests:\n  a: sha256:${'0'.repeat(64)}` },
      variable: 'MODEL_DIGESTS',
      value: `a=sha256:${'0'.repeat(64)}`,
    },
    {
      name: 'a secret comes from the file that is named in its place',
      layers: { yaml: 'apiKeyFile: "{folder}/key"', files: { key: 'from-a-file\n' } },
      variable: 'API_KEY',
      value: 'from-a-file',
      place: /key, by API_KEY_FILE$/,
    },
    {
      name: 'a secret of a higher layer goes before a file of a lower one',
      layers: { env: { API_KEY: 'own' }, dotEnv: 'API_KEY_FILE={folder}/key', files: { key: 'file' } },
      variable: 'API_KEY',
      value: 'own',
    },
  ];
  for (const { name, layers, variable, value, place } of values) {
    test(name, async () => {
      const { settings, found } = await load(layers);
      assert.equal(found, '');
      assert.equal(settings.get(variable)?.value, value);
      if (place !== undefined) assert.match(settings.get(variable)?.place ?? '', place);
    });
  }

  const refused: { name: string; layers: Layers; message: RegExp }[] = [
    {
      name: 'a bad value, with the file and the line',
      layers: { yaml: '\nport: http' },
      message: /PORT \(config\.yaml, line 2\): /,
    },
    {
      name: 'a bad value of .env, with the line',
      layers: { dotEnv: 'A=1\nDEVICE=abacus' },
      message: /DEVICE \(\.env, line 2\): /,
    },
    {
      name: 'an unknown key, with the nearest one',
      layers: { yaml: 'max:\n  uploadByte: 5000' },
      message: /config\.yaml, line 2: max\.uploadByte is not a setting; the nearest is maxUploadBytes/,
    },
    {
      name: 'a variable under two keys',
      layers: { yaml: 'maxQueue: 1\nmax: {queue: 2}' },
      message: /line 2: max\.queue sets MAX_QUEUE again, after config\.yaml, line 1/,
    },
    {
      name: 'a collection in a list',
      layers: { yaml: 'activeModels: [[a]]' },
      message: /activeModels is nested deeper/,
    },
    { name: 'broken YAML', layers: { yaml: 'port: [' }, message: /config\.yaml: .*line 1/ },
    { name: 'a file that is no mapping', layers: { yaml: '- port' }, message: /is not a mapping/ },
    {
      name: 'a secret beside its file',
      layers: { env: { API_KEY: 'a', API_KEY_FILE: '/nonexistent' } },
      message: /API_KEY_FILE: API_KEY is set beside it/,
    },
    {
      name: 'the file of a secret that is gone',
      layers: { dotEnv: 'REDIS_URL_FILE=/nonexistent' },
      message: /REDIS_URL_FILE \(\.env, line 1\): \/nonexistent cannot be read \(ENOENT/,
    },
    {
      name: 'a folder of models that is gone',
      layers: { env: { MODELS_DIR: '/nonexistent' } },
      message: /MODELS_DIR: \/nonexistent cannot be read/,
    },
    {
      name: 'a contradiction, with the place of what contradicts',
      layers: { env: { ACTIVE_MODELS: 'a' }, yaml: 'defaultModelName: b' },
      message: /DEFAULT_MODEL_NAME \(config\.yaml, line 1\): "b" is not in ACTIVE_MODELS \(a\)/,
    },
    {
      name: 'everything at once',
      layers: { env: { LOG_LEVEL: 'loud' }, dotEnv: 'DEVICE=abacus', yaml: 'prot: 1' },
      message: /prot is not a setting.*; DEVICE \(.*; LOG_LEVEL: /,
    },
  ];
  for (const { name, layers, message } of refused) {
    test(`refuses ${name}`, async () => {
      const { found } = await load(layers);
      assert.match(found, message);
      assert.doesNotMatch(found, /\n/);
    });
  }

  test('a file that is named and gone is a problem', () => {
    const { problems } = loadSettings({
      env: { CONFIG_FILE: '/nonexistent/c.yaml', MODELS_DIR: '/' },
      envFile: '/nonexistent/.env',
    });
    assert.match(
      problems.join(';'),
      /^CONFIG_FILE: \/nonexistent\/c\.yaml cannot be read .*;--env-file: \/nonexistent\/\.env /,
    );
  });
});

describe('what is told of the configuration', () => {
  test('is a config.yaml with the source of each value and without secrets, which reads as the same', async () => {
    const { settings } = await load({ env: { API_KEY: 'hunter2' }, yaml: 'max: {queue: 3}' });
    const text = effectiveConfig(settings);
    assert.match(text, /^apiKey: "\(secret\)" # environment$/m);
    assert.match(text, /^maxQueue: "3" # .*config\.yaml, line 1$/m);
    assert.match(text, /^port: "8080" # default$/m);
    assert.doesNotMatch(text, /hunter2/);
    const again = await load({ yaml: text });
    assert.equal(again.found, '');
    assert.equal(again.settings.get('MAX_QUEUE')?.value, '3');
    const same = { API_KEY: 'hunter2', MODELS_DIR: '/' };
    assert.deepEqual(
      readConfig({ ...valuesOf(again.settings), ...same }),
      readConfig({ ...valuesOf(settings), ...same }),
    );
  });

  test('describes every variable', () => {
    for (const { name, description } of variables) assert.notEqual(description, '', name);
    for (const { name } of variables) assert.ok(configurationReference().includes(`\`${name}\``), name);
  });
});

function valuesOf(settings: ReadonlyMap<string, { readonly value: string }>): Record<string, string> {
  return Object.fromEntries([...settings].map(([name, { value }]) => [name, value]));
}
