/** Maps whose files a script names in its text, wherever it opens them: `check` opens them too. Servers are not asked. */
import type { Finding } from '../lint/finding.ts';
import { parseMapSpec } from '../maps/map-spec.ts';
import { Maps } from '../maps/maps.ts';
import { visible } from '../text/visible.ts';

const SILENT = { notice: () => {}, warning: () => {} };

/**
 * Warnings of maps that could not be opened.
 * @param text of the script, latin1 @param names all strings that stand in it @param problem what kept it from running
 */
export async function mapFindings(
  text: string,
  names: ReadonlySet<string>,
  problem: string | undefined,
): Promise<Finding[]> {
  if (!names.has('map') || !names.has('open')) return [];
  const findings: Finding[] = [];
  for (const spec of names) {
    const path = pathIn(spec);
    if (path === undefined) continue;
    try {
      await new Maps(SILENT).open(spec, Buffer.from(path, 'latin1'));
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      // The main chunk has said it.
      if (problem?.includes(message) === true) continue;
      findings.push(findingAt(text, spec, `map.open: ${visible(message)}`));
    }
  }
  return findings;
}

/** A path alone may be the name of any file. */
function pathIn(spec: string): string | undefined {
  if (!/^[a-z]+:\//.test(spec)) return undefined;
  try {
    const parsed = parseMapSpec(spec);
    return 'path' in parsed ? parsed.path : undefined;
  } catch {
    return undefined;
  }
}

function findingAt(text: string, spec: string, message: string): Finding {
  const at = Math.max(0, text.indexOf(spec));
  const before = text.slice(0, at).split('\n');
  const line = before.length;
  const column = (before.at(-1)?.length ?? 0) + 1;
  const end = { endLine: line, endColumn: column + spec.length };
  return { rule: 'unreadable-map', severity: 'warning', message, line, column, ...end };
}
