"""Documents of the longest size that is read at all, made to be slow to refuse or to take."""

from shared.metadata.contract import CallMetadata

MAX_BYTES = CallMetadata.max_bytes

HOSTILE = {
    "half characters": '{"data":' + '{"a":[' * 7 + '"\\ud800",' * 3500 + "1" + "]}" * 7 + "}",
    "open brackets": "[" * MAX_BYTES,
    "many lists": "[" + "[]," * 10_000 + "[]]",
    "many objects": '{"user_id":"1","data":{"a":[' + ",".join(["{}"] * 10_000) + "]}}",
    "deep lists": '{"user_id":"1","data":{"a":[' + ",".join(["[" * 13 + "]" * 13] * 1200) + "]}}",
    "many keys": '{"user_id":"1","data":{' + ",".join(f'"{i}":0' for i in range(3400)) + "}}",
    "control characters": '{"data":{' + ",".join(f'"{i}":"\\u0000"' for i in range(2000)) + "}}",
    "near names": "{" + ",".join(f'"user_nam{i}":0' for i in range(1900)) + "}",
    "long keys": "{" + ",".join(f'"{"u" * 3000}{i}":0' for i in range(10)) + "}",
    "escapes": '{"user_id":"' + "\\u00e9" * 5000 + '"}',
    "quotes": '"' * MAX_BYTES,
    "backslashes": '{"a":"' + "\\" * 32_000 + '"}',
    "brackets in a text": '{"a":"' + "[{" * 16_000 + '"}',
    "digits": '{"user_id":"1","data":{"a":0.' + "1" * 32_000 + "}}",
    "numbers": '{"user_id":"1","data":{"a":['
    + ",".join(["1.2345678901234567e-300"] * 1300)
    + "]}}",
    "long number": '{"user_id":"1","user_phone":"+' + "1" * 32_000 + '"}',
    "long language": '{"user_id":"1","locale":"en' + "-abcde" * 5000 + '"}',
}
