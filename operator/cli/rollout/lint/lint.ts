/** All that is wrong with the text of a file. Pure. */
import { type ModelDeploymentSpec, modelDeploymentDefinition } from '../../../api/model-deployment.ts';
import { adviseDeployment } from './advice.ts';
import { type Manifest, manifestsIn, type Place } from './documents.ts';
import { type Finding, pathText } from './finding.ts';
import { checkObject, definitionOf } from './schema.ts';

export interface Report extends Place {
  readonly file: string;
  readonly severity: Finding['severity'];
  /** The object: `ModelDeployment/detector`; undefined for what is wrong with the text itself. */
  readonly object: string | undefined;
  /** `spec.strategy.canary.steps[2]`; '' for the whole object. */
  readonly field: string;
  readonly message: string;
}

/** In the order of the text. */
export function lintText(file: string, text: string): Report[] {
  const { manifests, problems } = manifestsIn(text);
  const syntax = problems.map(
    ({ place, message }): Report => ({
      file,
      ...place,
      severity: 'error',
      object: undefined,
      field: '',
      message: message.trim(),
    }),
  );
  const ours = manifests.filter(({ object }) => definitionOf(object));
  const nothing: Report = {
    ...{ file, line: 1, column: 1, severity: 'warning', object: undefined, field: '' },
    message: 'there is no ModelDeployment and no DeepfakeModel in it',
  };
  return [
    ...syntax,
    ...(ours.length === 0 && syntax.length === 0 ? [nothing] : []),
    ...ours.flatMap((manifest) =>
      findingsOf(manifest).map(
        ({ severity, path, message }): Report => ({
          file,
          ...manifest.placeOf(path),
          severity,
          object: titleOf(manifest),
          field: pathText(path),
          message,
        }),
      ),
    ),
  ].sort((a, b) => a.line - b.line || a.column - b.column);
}

function findingsOf({ object }: Manifest): Finding[] {
  const definition = definitionOf(object);
  if (!definition) return [];
  const { findings, spec } = checkObject(definition, object);
  const advice =
    definition === modelDeploymentDefinition && spec !== undefined
      ? adviseDeployment(spec as ModelDeploymentSpec)
      : [];
  return [...findings, ...advice];
}

function titleOf({ object: { kind, metadata } }: Manifest): string {
  const { name } = (metadata ?? {}) as { readonly name?: unknown };
  return `${kind}/${typeof name === 'string' ? name : '?'}`;
}

/** `file:12:3: error: spec.strategy: …` */
export const reportText = ({ file, line, column, severity, field, message }: Report) =>
  `${file}:${line}:${column}: ${severity}: ${field === '' ? '' : `${field}: `}${message}`;
