/** A folder in a model repository of the Hugging Face Hub, or of a server that answers as it does. */
import type { Access, Explanation, Refusal, Remote } from '../resource.ts';
import type { HuggingFaceSource } from '../source.ts';

export function huggingFaceRemote(source: HuggingFaceSource, token: string | undefined): Remote {
  const proof = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const access: Access = { credentials: async () => proof, explain };
  return { kind: 'folder', locate: (file) => ({ url: fileUrl(source, file), access }) };
}

/** A revision may hold slashes (refs/pr/1) and is one part of the address all the same. */
export function fileUrl({ endpoint, repository, revision, path }: HuggingFaceSource, file: string): string {
  const parts = [...(path?.split('/') ?? []), ...file.split('/')].map(encodeURIComponent);
  const base = endpoint.replace(/\/+$/, '');
  return `${base}/${repository}/resolve/${encodeURIComponent(revision)}/${parts.join('/')}`;
}

/** The hub says what is wrong in headers; for a repository that it hides from this token it says 401. */
export function explain({ headers }: Refusal): Explanation {
  const [code, message] = [headers['x-error-code'], headers['x-error-message']].map((value) =>
    value === undefined ? undefined : String(value),
  );
  const detail = [code, message].filter((part) => part !== undefined).join(': ');
  const gated =
    code === 'GatedRepo' ? '; ask for access to the repository and give a token of that account' : '';
  return { detail: detail === '' ? undefined : `${detail}${gated}` };
}
