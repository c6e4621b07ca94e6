import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { stringify } from 'yaml';
import { inTemporaryFolder } from '../testing/media.ts';
import { configOf, readConfig } from './config.ts';
import { loadSettings } from './load.ts';

const thresholds = { low: 0.3, high: 0.7 };
const both = { name: 'both', models: ['frames', 'voice'], thresholds };
const logistic = {
  ...both,
  method: 'logistic',
  intercept: -1,
  weights: { frames: 2, VOICE: 0.5 },
  missing: { voice: 0.1 },
  minModels: 2,
  onDisagreement: 'abstain',
};

function ensemblesOf(list: readonly unknown[]) {
  return readConfig({ FUSION: JSON.stringify(list) }).ensembles;
}

describe('ensembles', () => {
  test('are read with every default', () => {
    const [ensemble] = ensemblesOf([{ ...both, method: 'mean' }]);
    assert.deepEqual(ensemble, {
      ...both,
      minModels: 1,
      onDisagreement: 'warn',
      combination: { method: 'mean' },
    });
    assert.deepEqual(readConfig({}).ensembles, []);
  });

  test('have weights by the names of their models, however they are written', () => {
    const [ensemble] = ensemblesOf([logistic]);
    assert.deepEqual(ensemble?.combination, {
      method: 'logistic',
      intercept: -1,
      weights: new Map([
        ['frames', 2],
        ['voice', 0.5],
      ]),
      missing: new Map([['voice', 0.1]]),
    });
  });

  test('are written as YAML in a config.yaml', async () => {
    await inTemporaryFolder(async (folder) => {
      const configFile = join(folder, 'config.yaml');
      await writeFile(
        configFile,
        stringify({ fusion: [logistic, { ...both, name: 'other', method: 'max' }] }),
      );
      const { settings, problems } = loadSettings({ env: { MODELS_DIR: folder }, configFile });
      const { ensembles } = configOf(settings, problems);
      assert.deepEqual(
        ensembles.map(({ name, combination: { method } }) => [name, method]),
        [
          ['both', 'logistic'],
          ['other', 'max'],
        ],
      );
    });
  });

  const mean = { ...both, method: 'mean' };
  const weighted = { ...both, method: 'weighted', weights: { frames: 1, voice: 2 } };
  const rows = [
    { name: 'text that is no JSON', text: 'both', message: /FUSION: is not JSON/ },
    { name: 'no list', text: '{}', message: /FUSION: .*expected array/ },
    { name: 'an unknown method', list: [{ ...both, method: 'vote' }], message: /FUSION\.0\.method/ },
    { name: 'an unknown key', list: [{ ...mean, weights: {} }], message: /FUSION\.0: .*weights/ },
    { name: 'one model', list: [{ ...mean, models: ['voice'] }], message: /FUSION\.0\.models/ },
    {
      name: 'a model twice',
      list: [{ ...mean, models: ['voice', 'Voice'] }],
      message: /names a model twice/,
    },
    {
      name: 'thresholds that cross',
      list: [{ ...mean, thresholds: { low: 0.7, high: 0.3 } }],
      message: /FUSION\.0\.thresholds: low must be below high/,
    },
    { name: 'no thresholds', list: [{ ...mean, thresholds: undefined }], message: /FUSION\.0\.thresholds/ },
    {
      name: 'a weight of nobody',
      list: [{ ...weighted, weights: { frames: 1, voice: 1, x: 1 } }],
      message: /weights names x/,
    },
    {
      name: 'a model without a weight',
      list: [{ ...weighted, weights: { frames: 1 } }],
      message: /weights has nothing for voice/,
    },
    {
      name: 'a weight of 0 in a mean',
      list: [{ ...weighted, weights: { frames: 0, voice: 1 } }],
      message: /FUSION\.0\.weights\.frames/,
    },
    { name: 'a stand-in for nobody', list: [{ ...logistic, missing: { x: 1 } }], message: /missing names x/ },
    {
      name: 'more answers than models',
      list: [{ ...mean, minModels: 3 }],
      message: /minModels is 3, but there are 2 models/,
    },
    { name: 'the name that means all', list: [{ ...mean, name: 'ALL' }], message: /stands for every model/ },
    {
      name: 'two of one name',
      list: [mean, { ...mean, name: 'BOTH' }],
      message: /two ensembles are called "both"/,
    },
    {
      name: 'the name of a model',
      list: [{ ...mean, name: 'picture' }],
      env: { ACTIVE_MODELS: 'frames,voice,Picture' },
      message: /FUSION: the ensemble "picture" is called as the model "Picture" is; give it another name/,
    },
    {
      name: 'the name of its own model',
      list: [{ ...mean, name: 'voice' }],
      message: /called as the model "voice"/,
    },
    {
      name: 'a model that is not active',
      list: [mean],
      env: { ACTIVE_MODELS: 'frames' },
      message: /FUSION: the ensemble "both" has "voice", which is no active model \(frames\)/,
    },
  ];
  for (const { name, list, text = JSON.stringify(list), env = {}, message } of rows) {
    test(`refuses ${name}`, () => {
      assert.throws(() => readConfig({ FUSION: text, ...env }), message);
    });
  }
});
