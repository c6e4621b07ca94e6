import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DeepfakeModel, ModelDeployment, Pod } from '../../controllers/kinds.ts';
import { CommandError } from '../errors.ts';
import { chooseDeployment, choosePod, type Modality, modalitiesOf } from './choose.ts';

describe('the modality of a file', () => {
  const cases: readonly [string | undefined, readonly Modality[]][] = [
    ['image/jpeg', ['image']],
    ['audio/flac', ['audio']],
    ['video/x-msvideo', ['video']],
    ['video/mp4', ['video', 'audio']],
    ['application/pdf', []],
    [undefined, []],
  ];
  for (const [mime, expected] of cases) it(`${mime}`, () => assert.deepEqual(modalitiesOf(mime), expected));
});

const model = (name: string, modality: Modality | undefined, card = true): DeepfakeModel =>
  ({
    metadata: { name },
    spec: card ? {} : { modality },
    status: card ? { card: { modality } } : {},
  }) as unknown as DeepfakeModel;
const deployment = (name: string, models: readonly string[], message?: string): ModelDeployment =>
  ({
    metadata: { name, namespace: 'ns' },
    spec: { models: models.map((each) => ({ name: each })) },
    status: { message },
  }) as unknown as ModelDeployment;

const MODELS = [model('cnn', 'image'), model('voice', 'audio', false)];
const FACES = deployment('faces', ['cnn']);
const VOICES = deployment('voices', ['voice']);
const BOTH = deployment('both', ['voice', 'cnn']);

interface Asked {
  readonly deployment?: string;
  readonly model?: string;
  readonly modalities?: readonly Modality[];
}

const choose = (deployments: readonly ModelDeployment[], asked: Asked) =>
  chooseDeployment(
    {
      namespace: 'ns',
      deployment: asked.deployment,
      model: asked.model,
      modalities: asked.modalities ?? ['image'],
    },
    deployments,
    MODELS,
  ).metadata.name;

describe('the deployment to ask', () => {
  const cases: readonly [string, readonly ModelDeployment[], Asked, string][] = [
    ['is the only one that analyses such media', [FACES, VOICES], {}, 'faces'],
    [
      'is known by its spec before its package is verified',
      [FACES, VOICES],
      { modalities: ['audio'] },
      'voices',
    ],
    ['is the one that is named, whatever it analyses', [FACES, VOICES], { deployment: 'voices' }, 'voices'],
    ['is the only one that serves the model', [FACES, VOICES], { model: 'voice' }, 'voices'],
    ['may be known by one of several modalities', [VOICES], { modalities: ['video', 'audio'] }, 'voices'],
    ['is the only one there is for a file of no known type', [FACES], { modalities: [] }, 'faces'],
  ];
  for (const [name, deployments, asked, expected] of cases) {
    it(name, () => assert.equal(choose(deployments, asked), expected));
  }

  const refusals: readonly [string, readonly ModelDeployment[], Asked, string][] = [
    [
      'several',
      [FACES, BOTH],
      {},
      'several ModelDeployments in namespace ns analyse image: choose one of both, faces by --deployment',
    ],
    [
      'several for a file of no known type',
      [FACES, VOICES],
      { modalities: [] },
      'several ModelDeployments in namespace ns may analyse this file: choose one of faces, voices by --deployment',
    ],
    [
      'none of the modality',
      [VOICES],
      { modalities: ['video', 'image'] },
      'no ModelDeployment in namespace ns analyses video or image: there are voices',
    ],
    ['none at all', [], {}, 'no ModelDeployment in namespace ns analyses image: there are none'],
    [
      'none with the model',
      [FACES],
      { model: 'm' },
      'no ModelDeployment in namespace ns serves model m: there are faces',
    ],
    ['none of the name', [FACES], { deployment: 'd' }, 'there is no ModelDeployment d in namespace ns'],
  ];
  for (const [name, deployments, asked, message] of refusals) {
    it(`refuses where there are ${name}`, () =>
      assert.throws(() => choose(deployments, asked), new CommandError(message)));
  }
});

const pod = (name: string, ready: boolean, changes: object = {}): Pod =>
  ({
    metadata: { name, ...changes },
    spec: { containers: [{ name: 'inference', ports: [{ name: 'http', containerPort: 8080 }] }] },
    status: { conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  }) as unknown as Pod;

describe('the pod to ask', () => {
  it('is the first that is ready and stays', () => {
    const pods = [
      pod('a', false),
      pod('b', true, { deletionTimestamp: '2026-01-01T00:00:00Z' }),
      pod('c', true),
    ];
    assert.deepEqual(choosePod(FACES, pods), { pod: 'c', namespace: 'ns', port: 8080 });
  });

  it('is missing for the reason that the deployment tells', () => {
    const waiting = deployment('faces', ['cnn'], 'WeightsFetching: 43 %');
    assert.throws(
      () => choosePod(waiting, [pod('a', false)]),
      new CommandError('ModelDeployment faces in namespace ns has no ready pod: WeightsFetching: 43 %'),
    );
  });
});
