"""What was derived of an object: its kept waveforms, which go with it. Storage-api makes them, into whichever bucket takes them."""

from audiostore.store import Store
from audiostore.waveform_names import waveform_names
from pusher.together import together


async def delete_derived(name: str, *stores: Store) -> None:
    """Deletes the waveforms of the object `name`. StoreError: perhaps not all of them."""
    await together(*(store.delete(derived) for store in stores for derived in waveform_names(name)))


async def delete_for_good(name: str, store: Store, *stores: Store) -> None:
    """Deletes the object from `store`, and its waveforms from all of them. StoreError: not known what is left; do it again.

    The waveforms first, for without the object nobody comes back for them; and after it, for one may have been made meanwhile.
    """
    await delete_derived(name, store, *stores)
    await store.delete(name)
    await delete_derived(name, store, *stores)
