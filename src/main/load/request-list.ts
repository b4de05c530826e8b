/** Requests that are sent in turn, a line each: `/path` or `METHOD /path`. */
import { invalidType, outOfRange } from '../../shared/errors.js';
import { buildRequest, type HttpRequest, type RequestInit } from '../../shared/load/http-request.js';
import { askedPath, type Target } from '../../shared/load/target.js';

const LINE = /^(?:(\S+)\s+)?(\/\S*)$/;

/**
 * Blank lines and those that begin with # are none.
 *
 * @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE that names the line
 */
export function requestList(urls: unknown, target: Target, init: RequestInit): HttpRequest[] {
  if (!Array.isArray(urls)) throw invalidType('urls', "an array of lines such as '/path' or 'POST /path'", urls);
  const requests: HttpRequest[] = [];
  urls.forEach((line: unknown, i) => {
    if (typeof line !== 'string') throw invalidType(`urls[${i}]`, 'a string', line);
    const text = line.trim();
    if (text === '' || text.startsWith('#')) return;
    const [, method, path] = LINE.exec(text) ?? [];
    if (path === undefined)
      throw outOfRange('urls', `lines such as '/path' or 'POST /path'; line ${i + 1} is not`, text);
    requests.push(
      buildRequest({ ...target, path: askedPath(path) }, { ...init, ...(method === undefined ? {} : { method }) }),
    );
  });
  if (requests.length === 0) throw outOfRange('urls', 'at least one line', urls);
  return requests;
}
