"""The KMS keys of the target's buckets: which one a bucket's setting names, and whether our role can encrypt with it.

KMS is asked for a data key in a dry run, which makes none: it answers as it would answer S3 on our behalf.
"""

from __future__ import annotations

from downstage.aws.session import Session, calling
from downstage.domain.refs import TargetBucket
from downstage.errors import AwsError
from downstage.ports import KeyUse

_WOULD_WORK = "DryRunOperationException"
_DENIED = ("AccessDenied", "AccessDeniedException", "403")
_UNUSABLE = (
    "NotFoundException",
    "DisabledException",
    "KMSInvalidStateException",
    "InvalidKeyUsageException",
    "InvalidArnException",
)
_NO_SETTING = "ServerSideEncryptionConfigurationNotFoundError"


class TargetKeys:
    """Implements `ports.BucketKeys` with the target's session."""

    def __init__(self, target: Session) -> None:
        self._target = target

    def default(self, bucket: TargetBucket) -> str | None:
        """The customer's key that encrypts what is put without naming one."""
        try:
            with calling(self._target.environment, f"read the encryption of bucket {bucket.name}"):
                answer = self._target.client("s3").get_bucket_encryption(
                    Bucket=bucket.name, ExpectedBucketOwner=bucket.account
                )
        except AwsError as error:
            if error.code == _NO_SETTING:
                return None
            raise
        rules = answer.get("ServerSideEncryptionConfiguration", {}).get("Rules", ())
        found = [
            rule["ApplyServerSideEncryptionByDefault"] for rule in rules if "ApplyServerSideEncryptionByDefault" in rule
        ]
        keys = [one.get("KMSMasterKeyID") for one in found if one["SSEAlgorithm"].startswith("aws:kms")]
        return next((key for key in keys if key and not key.endswith("alias/aws/s3")), None)

    def use(self, key: str) -> KeyUse:
        """Whether KMS would make a data key for our role."""
        region = key.split(":")[3] if key.startswith("arn:") else None
        try:
            with calling(self._target.environment, "try a bucket's key"):
                self._target.client("kms", region).generate_data_key(KeyId=key, KeySpec="AES_256", DryRun=True)
        except AwsError as error:
            if error.code == _WOULD_WORK:
                return "usable"
            if error.code in _DENIED:
                return "denied"
            if error.code in _UNUSABLE:
                return "unusable"
            raise
        return "usable"
