"""What Django's kinds of test case do with a database; each class may run in a process of its own."""
import decimal

from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import DataError, IntegrityError, connection, transaction
from django.db.models import Count, F, Sum
from django.test import TestCase, TransactionTestCase

from shop.models import Item, Shelf


def where():
    with connection.cursor() as cursor:
        cursor.execute("select current_database()")
        return cursor.fetchone()[0]


class Migrated(TestCase):
    def test_filled(self):
        self.assertEqual(Item.objects.aggregate(n=Count("id"), sum=Sum("price")), {"n": 30, "sum": decimal.Decimal("435.00")})

    def test_database(self):
        self.assertRegex(where(), r"^test_django(_\d+)?$")
        self.assertEqual(where(), connection.settings_dict["NAME"])

    def test_nothing_to_migrate(self):
        call_command("makemigrations", check=True, dry_run=True, verbosity=0)
        call_command("migrate", check=True, verbosity=0)

    def test_introspection(self):
        with connection.cursor() as cursor:
            columns = [c.name for c in connection.introspection.get_table_description(cursor, "shop_item")]
            found = connection.introspection.get_constraints(cursor, "shop_item")
        self.assertEqual(columns, ["id", "name", "price", "shelf_id", "owner_id", "facts"])
        self.assertTrue(found["shop_price"]["index"])


class Rolled(TestCase):
    """Every test is a savepoint's; what it leaves the next does not see."""

    @classmethod
    def setUpTestData(cls):
        cls.shelf = Shelf.objects.create(name="rolled", rows=[3])
        cls.user = User.objects.create_user("u", password="p")

    def each(self):
        self.assertEqual(Item.objects.filter(shelf=self.shelf).count(), 0)
        Item.objects.bulk_create([Item(shelf=self.shelf, owner=self.user, name=f"n{i}", price=i, facts={"i": i}) for i in range(500)])
        self.assertEqual(Item.objects.filter(facts__i__gte=250).count(), 250)
        Item.objects.filter(shelf=self.shelf).update(price=F("price") * 2)
        self.assertEqual(Item.objects.get(name="n7").price, 14)

    test_one = test_two = test_three = each

    def test_errors(self):
        with self.assertRaises(IntegrityError), transaction.atomic():
            Shelf.objects.create(name="rolled")
        with self.assertRaises(DataError), transaction.atomic():
            Shelf.objects.create(name="x" * 51)
        self.assertEqual(Shelf.objects.filter(rows__contains=[3]).count(), 1)

    def test_on_commit(self):
        with self.captureOnCommitCallbacks(execute=True) as callbacks:
            transaction.on_commit(lambda: None)
        self.assertEqual(len(callbacks), 1)


class Truncated(TransactionTestCase):
    """Tables are truncated, and their sequences are reset, after every test."""
    reset_sequences = True

    def each(self):
        self.assertEqual(Shelf.objects.count(), 0)
        shelf = Shelf.objects.create(name="truncated")
        self.assertEqual(shelf.pk, 1)
        with self.assertRaises(ZeroDivisionError), transaction.atomic():
            Item.objects.create(shelf=shelf, name="a", price=1)
            raise ZeroDivisionError
        with transaction.atomic():
            Item.objects.create(shelf=shelf, name="b", price=2)
            locked = Shelf.objects.select_for_update(nowait=True).get()
        self.assertEqual([i.name for i in locked.item_set.iterator(chunk_size=1)], ["b"])

    test_one = test_two = each

    def setUp(self):
        Shelf.objects.all().delete()  # what migrations have filled in, before the first


class Iterated(TransactionTestCase):
    def test_server_cursor(self):
        shelf, _ = Shelf.objects.get_or_create(name="iterated")
        Item.objects.bulk_create([Item(shelf=shelf, name="i", price=i) for i in range(3000)])
        with transaction.atomic():
            self.assertEqual(sum(i.price for i in Item.objects.filter(name="i").iterator(chunk_size=100)), 2999 * 1500)
        # Outside of a transaction the cursor is WITH HOLD.
        self.assertEqual(sum(i.price for i in Item.objects.filter(name="i").iterator(chunk_size=100)), 2999 * 1500)
