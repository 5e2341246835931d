"""Names of classes that pictures have to show: those of data sets, and those that are hard to show."""

from __future__ import annotations

FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CIFAR100 = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
    castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
    elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster
    man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck
    pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk
    skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger
    tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""
CIFAR100 = tuple(_CIFAR100.split())
LONG = tuple(f"Carcharodon carcharias, the great white shark number {number}, a man-eater" for number in range(10))
CHINESE = ("飞机", "汽车", "鸟", "猫", "鹿", "狗", "青蛙", "马", "船", "卡车")
HOSTILE = (
    "<img src=x onerror=\"window.hit='class'\">", "", "a\nb\tc", "\x1b[31mred\u202e", "%{x} ${y} $x^2$", "x" * 5000,
    "same", "same", "Z\u0351\u036b\u0353\u036a\u0302" * 20, "😀 </b>",
)  # fmt: skip
NAMES = {
    "digits": (), "fashion": FASHION, "cifar10": CIFAR10, "cifar100": CIFAR100, "long": LONG, "chinese": CHINESE,
    "hostile": HOSTILE,
}  # fmt: skip
