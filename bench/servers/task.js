// The task of servers/piscina.js.
import { workerData } from 'piscina';
import { digestOf } from './answer.js';

export default request => digestOf(request, workerData.hashes);
